import type { Command, Group, Name, Option } from './options.ts'
import { commands, flagOf, optionsOf } from './options.ts'
import { notedEnvironment, notedFlags } from './upstream.ts'

const DOES: Readonly<Record<Command, string>> = {
  'serve': 'answer the admission reviews of an API server, in a cluster or from files',
  'review': 'answer admission reviews from files, without a server',
  'explain': 'say why an image is admitted or refused, down to each signature',
  'verify-bundle': 'verify the signature of a file that lies beside it as a Sigstore bundle',
  'doctor': 'say what is wrong with a cluster, before and after it changes over, and how to mend it',
  'demo': 'see images admitted and refused on this machine, with nothing to set up',
  'version': 'print the version',
  'help': 'print this, or the help of a command',
}

const USAGE: Readonly<Record<Command, string>> = {
  'serve': 'sealgate serve [--manifests PATH…] [OPTION…]',
  'review': 'sealgate review [--path PATH] [--manifests PATH]… [OPTION…] FILE|FOLDER|-…',
  'explain': 'sealgate explain IMAGE --manifests PATH [--object FILE] [--namespace NAMESPACE] [OPTION…]',
  'verify-bundle':
    'sealgate verify-bundle --bundle FILE (--certificate-identity ID --certificate-oidc-issuer URL | --key FILE) FILE|sha256:HEX',
  'doctor': 'sealgate doctor [--kubeconfig FILE | --manifests PATH…] [OPTION…]',
  'demo': 'sealgate demo [OPTION…]',
  'version': 'sealgate version',
  'help': 'sealgate help [COMMAND]',
}

const MORE: Readonly<Record<Command, string>> = {
  'serve': `Lets a workload in only when each of its images satisfies every ClusterImagePolicy that speaks about it. With --manifests, the
policies and what they need come from files; without, from the cluster. Ready when /readyz on the metrics port answers 200.
SIGTERM lets requests under way finish; SIGINT ends at once.

  sealgate serve --manifests policies/
  sealgate serve --kubeconfig ~/.kube/config --port 9443 --log-level debug`,
  'review': `Answers each AdmissionReview as the webhook would, on standard output; of several files, or of a folder's \`*.json\`,
one JSON line each, with the answer or why there is none. \`-\` is standard input.
Exit status: 0 when all are allowed, 1 when one is denied, 2 when one could not be asked.

  sealgate review --manifests policies/ review.json
  sealgate review --manifests policies/ --at 2026-01-31T12:00:00Z - < review.json`,
  'explain': `Judges a Pod made of IMAGE, or the object of --object, as the webhook would, and prints the decision as a tree: every policy,
authority, signature and check with its outcome, what was found, and what to do. A tag is resolved first.
Exit status: 0 when it is admitted, 1 when it is refused, 2 when it could not be asked.

  sealgate explain registry.example/team/app:v1 --manifests policies/
  sealgate explain --object deployment.yaml --manifests policies/ --json`,
  'verify-bundle': `Verifies that a Sigstore bundle signs a file, or what has this SHA-256 digest: itself or in a statement about it. Asked for are
a certificate that a log of certificates has seen, or the key, and an entry of a transparency log. The options are those of the
Sigstore client conformance protocol. What is found goes to standard output, why it is refused to standard error.
Exit status: 0 when it is verified, 1 when it is refused, 2 when it could not be asked.

  sealgate verify-bundle --bundle app.tgz.sigstore.json --certificate-identity me@example.com \\
    --certificate-oidc-issuer https://accounts.google.com app.tgz
  sealgate verify-bundle --bundle app.tgz.sigstore.json --key cosign.pub --trusted-root trusted_root.json app.tgz`,
  'doctor': `Reads a cluster with a kubeconfig and checks all that the controller needs: definitions, webhook configurations, Service,
certificate, rights, namespaces, whether the API server reaches the webhook (it is given a Pod and a policy as a dry run, and
nothing is kept), policies and what they name, trust roots, registries with the credentials that there are, and what the
sigstore policy controller left. Of files it checks what files can tell. Whatever is wrong comes with how to mend it.
Exit status: 0 when nothing is wrong, 1 when something is, 2 when it could not be found out.

  sealgate doctor --kubeconfig ~/.kube/config
  sealgate doctor --manifests policies/ --json`,
  'demo': `Starts a registry on loopback with images that it signs on the spot, the webhook with example policies, and sends it the reviews
of a signed, an unsigned and a wrongly signed image. Then it keeps serving, and says what to try next. Ctrl-C ends it.
It listens on 127.0.0.1 unless --address names another; a port that is taken is replaced by a free one, and said.`,
  'version': '',
  'help': '',
}

const GROUPS: Readonly<Record<Group, string>> = {
  asked: 'What is asked',
  objects: 'Policies',
  clock: 'Clock',
  serving: 'Serving',
  certificate: 'Certificate',
  writing: 'What is written to the cluster',
  registries: 'Registries',
  trust: 'Trust',
  log: 'Logs and help',
}

const WIDTH = 100 // columns of the help

/** What `sealgate --help` prints. */
export function overview(): string {
  const width = Math.max(...commands.map((c) => c.length))
  const lines = commands.map((c) => `  ${c.padEnd(width)}  ${DOES[c]}`)
  return `Sealgate lets a workload into a Kubernetes cluster only when its images are signed as the cluster's policies ask.

  sealgate COMMAND [OPTION…]

${lines.join('\n')}

\`sealgate COMMAND --help\` lists the options of a command. To start: sealgate demo
Exit status: 0 done or allowed, 1 denied, 2 could not be done.
`
}

/** What `sealgate COMMAND --help` prints. */
export function helpOf(command: Command): string {
  if (command === 'help') return overview()
  const parts = [`${USAGE[command]}\n`]
  if (MORE[command] !== '') parts.push(`${MORE[command]}\n`)
  for (const [group, title] of Object.entries(GROUPS)) {
    const rows = optionsOf(command).filter(([, o]) => o.group === group)
    if (rows.length > 0) parts.push(`${title}\n${rows.map(([name, o]) => inHelp(name, o)).join('')}`)
  }
  if (command === 'serve') parts.push(`The flags of the sigstore policy controller are accepted too: see docs/reference/options.md\n`)
  return parts.join('\n')
}

/** docs/reference/options.md: everything the command line and the environment can say. */
export function optionsReference(): string {
  const sections = commands
    .filter((c) => MORE[c] !== '')
    .map((c) => {
      const rows = optionsOf(c).map(
        ([name, o]) => `| ${cell(`\`${written(name, o)}\``)} | ${cell(facts(o).join('; '))} | ${cell(o.help)} |`,
      )
      return `## \`sealgate ${c}\`\n\n${DOES[c]}\n\n\`\`\`\n${USAGE[c]}\n\`\`\`\n\n| option | when not given | |\n| --- | --- | --- |\n${rows.join('\n')}\n`
    })
  const flags = Object.entries(notedFlags).map(([flag, n]) => `| \`--${flag}\` | ${cell(n.why)} |`)
  const variables = Object.entries(notedEnvironment).map(([variable, why]) => `| \`${variable}\` | ${cell(why)} |`)
  return `# Options

Options may be written with one dash or two, as \`--port 9443\` or \`--port=9443\`, before or after files. What is given on the command
line wins over the environment. Those marked «repeatable» may be given several times. An unknown option is an error.

${sections.join('\n')}
## Accepted without effect

What the sigstore policy controller takes and what has no meaning here. Each that is given is named in the log at the start.

| flag | why |
| --- | --- |
${flags.join('\n')}

| environment variable | why |
| --- | --- |
${variables.join('\n')}
`
}

function inHelp(name: Name, option: Option): string {
  const lines = wrapped(`${option.help} (${facts(option).join('; ')})`, WIDTH - 6)
  return `  ${written(name, option)}\n${lines.map((l) => `      ${l}\n`).join('')}`
}

function written(name: Name, option: Option): string {
  const flag = `--${flagOf(name)}`
  return option.value.shown === undefined ? flag : `${flag} ${option.value.shown}`
}

/** What holds when the option is not given, and its other names. */
function facts(option: Option): string[] {
  const unset = option.unsetText ?? (option.repeatable ? 'none' : option.value.shown === undefined ? 'off' : String(option.unset))
  return [
    `default ${unset}`,
    ...(option.repeatable ? ['repeatable'] : []),
    ...(option.env === undefined ? [] : [`environment ${option.env}`]),
    ...(option.alias ?? []).map((alias) => `also ${alias.length === 1 ? '-' : '--'}${alias}`),
  ]
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function wrapped(text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line !== '' && line.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines
}
