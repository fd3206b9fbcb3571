import { join, relative } from 'node:path'
import { styleText } from 'node:util'
import type { Mirror } from '../../src/world/network/endpoint.ts'

/** Where the demonstration is found, for the commands that a person may paste. */
export type Place = {
  /** With `policies`, `reviews` and, unless told otherwise, `tls`. */
  readonly folder: string
  /** URLs without a path. */
  readonly webhook: string
  readonly metrics: string
  readonly registry: string
  readonly mirrors: readonly Mirror[]
  /** Undefined when it serves with a certificate that was given. */
  readonly caFile: string | undefined
  /** How the command line is called. */
  readonly launcher: string
  /** Ports that were asked for and not to be had. */
  readonly taken: { readonly webhook: number | undefined; readonly metrics: number | undefined }
  /** Whether this shell's environment names a proxy, which has no way to this machine's loopback. */
  readonly isProxied: boolean
}

export function heading(): string {
  return `${bold('Sealgate, with nothing around it: a registry, three policies, the webhook, three requests.')}\n\n`
}

/** A request as the command that a person would type, and what kubectl would print. */
export function answered(
  request: { readonly name: string; readonly image: string; readonly about: string },
  lines: readonly string[],
): string {
  const command = `$ kubectl run ${request.name} --image=${request.image} --dry-run=server`
  return `${[dim(`# ${request.about}`), bold(command), ...lines.map(shown)].join('\n')}\n\n`
}

/** Where it serves, and commands to try next. Each works when it is pasted into a shell. */
export function whatNext(place: Place): string {
  const { folder, webhook, metrics, registry, taken } = place
  const file = (...path: readonly string[]): string => word(join(folder, ...path))
  const curl = place.isProxied ? "curl -s --noproxy '*'" : 'curl -s'
  const trust = place.caFile === undefined ? '--insecure' : `--cacert ${word(place.caFile)}`
  const ask = (review: string, path: string): string =>
    [`${curl} -w '\\n' ${trust}`, `-H 'Content-Type: application/json' --data @${file('reviews', review)}`, word(webhook + path)].join(
      BREAK,
    )
  const review = [
    `${place.launcher} review --manifests ${file('policies')}`,
    ...place.mirrors.map(({ host, url }) => `--mirror ${host}=${url}`),
    file('reviews'),
  ].join(BREAK)
  const commands = [
    ['ask the webhook yourself', ask('cosign-fail.json', '/validations')],
    [
      'a tag that moves: each time it is pinned to another image, of which only one is signed',
      `${ask('by-tag/moving.json', '/mutations')}${BREAK}| sed 's/.*"patch":"//; s/".*//' | base64 -d; echo`,
    ],
    ['every example without the webhook, a line each', review],
    [
      'a policy that only warns, in force at once: then ask again',
      `sed -i.before 's/mode: enforce/mode: warn/'${BREAK}${file('policies', 'image-policy.yaml')}`,
    ],
    ['what was decided, and why', `${curl} ${word(`${metrics}/metrics`)} | grep ^sealgate_decisions`],
  ]
  const instead = (port: number | undefined): string => (port === undefined ? '' : `   ${dim(`(${port} is taken)`)}`)
  return `${[
    `webhook   ${webhook}/validations, /mutations${instead(taken.webhook)}`,
    `metrics   ${metrics}/metrics${instead(taken.metrics)}`,
    `registry  ${registry}, for ${place.mirrors.map((m) => m.host).join(', ')}`,
    `policies  ${join(folder, 'policies')}   ${dim('(edit them: changes are followed)')}`,
    `reviews   ${join(folder, 'reviews')}`,
    '',
    bold('Try next, in another terminal:'),
    ...commands.flatMap(([about, command]) => ['', dim(`# ${about}`), command]),
    '',
    dim('Ctrl-C ends it.'),
  ].join('\n')}\n`
}

/** The command line as it is called from `folder`. */
export function launcherFrom(folder: string): string {
  const launcher = join(import.meta.dirname, '../../bin/sealgate')
  const near = relative(folder, launcher)
  if (near.startsWith('..')) return word(launcher)
  return word(near.includes('/') ? near : `./${near}`)
}

const BREAK = ' \\\n  ' // a command goes on in the next line

/** One word of a shell's command. */
function word(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}

function shown(line: string): string {
  if (line.startsWith('Warning: ')) return `${styleText('yellow', 'Warning:')}${line.slice('Warning:'.length)}`
  if (line.startsWith('Error from server')) return styleText('red', line)
  return line.endsWith('created (server dry run)') ? styleText('green', line) : line
}

/** Both only on a terminal, and not with NO_COLOR: `styleText` asks for both. */
function bold(text: string): string {
  return styleText('bold', text)
}

function dim(text: string): string {
  return styleText('dim', text)
}
