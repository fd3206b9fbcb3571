import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

/** Whether this machine gives a network of its own to whoever asks, with these addresses on it. */
export function isOwnNetworkAllowed(network: string): boolean {
  return spawnSync('unshare', ['--net', 'sh', '-c', network]).status === 0
}

export const WITHOUT_OWN_NETWORK = 'without a network of its own (unshare and ip, as root)'

/** Runs the tests of a file in a network of its own, which has nothing but what the commands `network` put there. */
export async function heldIn(
  network: string,
  file: string,
  environment: NodeJS.ProcessEnv,
): Promise<{ readonly code: number | null; readonly said: string }> {
  const session = `exec ${JSON.stringify(process.execPath)} --test --test-reporter=tap ${JSON.stringify(file)}`
  // Inside another run of tests it would report to that instead of running by itself.
  const { NODE_TEST_CONTEXT: _, ...rest } = process.env
  const child = spawn('unshare', ['--net', 'sh', '-c', `${network} && ${session}`], {
    env: { ...rest, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, said }
}
