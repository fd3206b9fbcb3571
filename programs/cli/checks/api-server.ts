import type { Finding } from './finding.ts'
import { ok, unknown, warning, wrong } from './finding.ts'
import type { Reader } from './patient.ts'
import { textAt } from './patient.ts'

const SKEW_NOTED = 5_000 // ms; the API server tells the time in whole seconds
const SKEW_HARMFUL = 60_000 // ms

/** Whether there is an API server to ask, and whether it has the time. Where it cannot be asked, nothing else can be found out. */
export async function apiServer(reader: Reader): Promise<readonly Finding[]> {
  const asked = Date.now()
  const began = performance.now()
  const version = await reader.one('/version')
  if (!version.ok)
    return [
      unknown(
        `it cannot be asked: ${version.text}`,
        'look at the server and the user of the kubeconfig, and whether a network leads there',
      ),
    ]
  const took = Math.round(performance.now() - began)
  const release = textAt(version.value, 'gitVersion') || 'of an unknown version'
  return [ok(`${release} answers, in ${took} ms`), ...clock(reader.api.clock(), asked + took / 2)]
}

function clock(said: number | undefined, now: number): readonly Finding[] {
  if (said === undefined) return []
  // Half a second on average is cut off the header.
  const ahead = said + 500 - now
  const away = `its clock is ${Math.round(Math.abs(ahead) / 1000)} s ${ahead > 0 ? 'ahead of' : 'behind'} that of this machine`
  const mend = 'let one of them synchronise its clock: certificates, timestamps and tokens are judged by it'
  if (Math.abs(ahead) > SKEW_HARMFUL) return [wrong(away, mend)]
  return [Math.abs(ahead) > SKEW_NOTED ? warning(away, mend) : ok('its clock and that of this machine agree')]
}
