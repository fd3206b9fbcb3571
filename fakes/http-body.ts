import type { IncomingMessage, ServerResponse } from 'node:http'

/** The whole body of a request; rejects when it is larger than `maxBytes`. */
export async function received(incoming: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of incoming as AsyncIterable<Uint8Array>) {
    length += chunk.length
    if (length > maxBytes) throw new Error('too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Answers 200 with a body that goes on for as long as the client takes it. */
export function endless(response: ServerResponse): void {
  const more = (): void => {
    while (!response.destroyed && response.write(Buffer.alloc(64 * 1024, ' ')));
  }
  response.writeHead(200)
  response.on('drain', more)
  more()
}
