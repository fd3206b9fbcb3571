import { gzipSync } from 'node:zlib'

const BLOCK = 512

/** A gzip'd tar (POSIX.1-1988, ustar) of files; a name above 100 bytes is cut in two at a slash, as the format demands. */
export function packed(files: Iterable<readonly [name: string, bytes: Uint8Array]>): Buffer {
  const parts: Uint8Array[] = []
  for (const [name, bytes] of files) parts.push(header(name, bytes.length), bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK))
  return gzipSync(Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]))
}

function header(path: string, size: number): Buffer {
  const slash = path.length > 100 ? path.lastIndexOf('/', 155) : -1
  const block = Buffer.alloc(BLOCK)
  block.write(path.slice(slash + 1), 0)
  block.write('0000644\0' + '0000000\0' + '0000000\0', 100)
  block.write(`${size.toString(8).padStart(11, '0')}\0${'0'.repeat(11)}\0`, 124)
  block.write(' '.repeat(8) + '0', 148)
  block.write('ustar\0' + '00', 257)
  block.write(path.slice(0, Math.max(slash, 0)), 345)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}
