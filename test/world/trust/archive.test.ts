import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { packed } from '../../../fakes/sigstore/archive.ts'
import { MAX_ARCHIVE_BYTES, unpack } from '../../../src/world/trust/archive.ts'

const folder = mkdtempSync(join(tmpdir(), 'archive-'))
after(() => rmSync(folder, { recursive: true }))

async function files(archive: Uint8Array): Promise<Record<string, string>> {
  const got = await unpack(archive)
  assert.ok(got.ok, got.ok ? '' : got.detail)
  return Object.fromEntries([...got.files].map(([name, bytes]) => [name, Buffer.from(bytes).toString()]))
}

async function why(archive: Uint8Array): Promise<string> {
  const got = await unpack(archive)
  assert.ok(!got.ok, 'it was unpacked')
  return got.detail
}

const BLOCK = 512
type Entry = {
  readonly name: string
  readonly type?: string
  readonly body?: string | Uint8Array
  readonly size?: string
  readonly magic?: string
}

/** An entry of a tar, whatever is wrong with it; its checksum is right. */
function entry({ name, type = '0', body = '', size, magic = 'ustar\0' }: Entry): Buffer {
  const bytes = Buffer.from(body)
  const block = Buffer.alloc(BLOCK)
  block.write(name, 0)
  block.write(size ?? `${bytes.length.toString(8).padStart(11, '0')}\0`, 124)
  block.write(' '.repeat(8) + type, 148)
  block.write(magic, 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([block, bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)])
}

const END = Buffer.alloc(2 * BLOCK)
const tar = (...entries: readonly Entry[]): Buffer => gzipSync(Buffer.concat([...entries.map(entry), END]))
const pax = (record: string): string => {
  const length = [2, 3, 4, 5].map((digits) => record.length + digits + 2).find((n) => `${n} ${record}\n`.length === n)
  return `${length} ${record}\n`
}

test('files are found under their names without what archives of repositories begin with', async () => {
  const archive = packed([
    ['/repository/1.root.json', Buffer.from('one')],
    ['repository/targets/a', Buffer.from('two')],
    ['./timestamp.json', Buffer.from('three')],
    ['other/repository/b', Buffer.from('')],
  ])
  assert.deepEqual(await files(archive), { '1.root.json': 'one', 'targets/a': 'two', 'timestamp.json': 'three', 'other/repository/b': '' })
})

for (const format of ['gnu', 'pax', 'ustar', 'posix'])
  test(`what tar packs as ${format} is unpacked, folders and long names too`, async () => {
    const long = `${'deep/'.repeat(20)}${'ab'.repeat(32)}.trusted_root.json`
    const at = mkdtempSync(join(folder, 'tar-'))
    mkdirSync(join(at, 'repository', 'targets', 'deep/'.repeat(20)), { recursive: true })
    writeFileSync(join(at, 'repository', 'root.json'), '{}')
    writeFileSync(join(at, 'repository', 'targets', long), 'x'.repeat(1_000))
    const archive = execFileSync('tar', ['-C', at, `--format=${format}`, '-czf', '-', 'repository'])
    assert.deepEqual(await files(archive), { 'root.json': '{}', [`targets/${long}`]: 'x'.repeat(1_000) })
  })

test('an archive without files is an empty one', async () => {
  assert.deepEqual(await files(tar()), {})
  assert.deepEqual(await files(tar({ name: 'repository/', type: '5' })), {})
})

test('lesson 46: a symbolic link is refused, not followed', async () => {
  const at = mkdtempSync(join(folder, 'link-'))
  symlinkSync('/etc/passwd', join(at, 'root.json'))
  assert.equal(
    await why(execFileSync('tar', ['-C', at, '-czf', '-', 'root.json'])),
    'failed to uncompress: "root.json" is neither a file nor a folder',
  )
})

for (const [type, what] of [
  ['1', 'a hard link'],
  ['2', 'a symbolic link'],
  ['3', 'a character device'],
  ['6', 'a pipe'],
  ['S', 'a sparse file'],
] as const)
  test(`${what} is refused`, async () =>
    assert.equal(await why(tar({ name: 'a', type })), 'failed to uncompress: "a" is neither a file nor a folder'))

for (const name of ['../a', 'repository/../../a', 'a/..', '/repository/../a', 'a\\..\\b'])
  test(`lesson 46: ${name} leads out of the archive`, async () => {
    assert.equal(await why(tar({ name })), `failed to uncompress: ${JSON.stringify(name)} leads out of the archive`)
    assert.match(await why(tar({ name: 'pax', type: 'x', body: pax(`path=${name}`) }, { name: 'a' })), /leads out of the archive$/)
    assert.match(await why(tar({ name: 'long', type: 'L', body: `${name}\0` }, { name: 'a' })), /leads out of the archive$/)
  })

test('a name of dots that is not «..» leads nowhere else', async () => {
  assert.deepEqual(await files(tar({ name: '..a/...', body: 'x' })), { '..a/...': 'x' })
})

test('two files of one name are refused, however the names are written: nobody knows which one was meant', async () => {
  assert.match(await why(tar({ name: 'a' }, { name: 'a' })), /two files are named "a"$/)
  assert.match(await why(tar({ name: 'repository/a' }, { name: '/repository//./a' })), /two files are named "a"$/)
})

test('a bomb is stopped at the limit, whatever it would become', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  assert.ok(bomb.length < 100 * 1024)
  const before = process.memoryUsage().arrayBuffers
  assert.equal(await why(bomb), `failed to uncompress: it unpacks to more than the limit (${32 * 1024 * 1024} bytes)`)
  assert.ok(process.memoryUsage().arrayBuffers - before < 48 * 1024 * 1024)
})

test('a bomb within a bomb stays packed', async () => {
  const inner = gzipSync(Buffer.alloc(16 * 1024 * 1024))
  assert.deepEqual(Object.keys(await files(packed([['a.gz', inner]]))), ['a.gz'])
})

test('an archive that is too large is not looked into', async () => {
  assert.equal(
    await why(Buffer.alloc(MAX_ARCHIVE_BYTES + 1)),
    `failed to uncompress: size of archive (8388609) exceeded the limit (8388608)`,
  )
})

test('the number of entries has a bound, folders and headers counted', async () => {
  const many = (count: number): Entry[] => Array.from({ length: count }, (_, i) => ({ name: `f${i}` }))
  assert.equal(Object.keys(await files(tar(...many(4_000)))).length, 4_000)
  assert.match(await why(tar(...many(4_001))), /number of entries exceeded the limit \(4000\)$/)
  assert.match(await why(tar(...many(4_001).map(({ name }) => ({ name, type: '5' })))), /number of entries exceeded the limit \(4000\)$/)
})

test('a name has a bound, which an extended header does not lift', async () => {
  assert.match(
    await why(tar({ name: 'x', type: 'x', body: pax(`path=${'n'.repeat(1_025)}`) }, { name: 'a' })),
    /a name has more than 1024 bytes$/,
  )
})

const changed = (archive: Buffer, at: number, to: number): Buffer => {
  const copy = Buffer.from(archive)
  copy[at < 0 ? copy.length + at : at] = to
  return copy
}

for (const [title, archive, wanted] of [
  ['is no gzip', Buffer.from('{"signatures": []}'), 'gzip: invalid header'],
  ['is empty', Buffer.alloc(0), 'unexpected EOF'],
  ['is a gzip of another method', changed(tar(), 2, 9), 'gzip: invalid header'],
  ['is a gzip with a wrong checksum', changed(tar(), -8, 1), 'gzip: invalid checksum'],
  ['is a gzip that is cut off', packed([['a', Buffer.alloc(4_000, 'ab')]]).subarray(0, 60), 'unexpected EOF'],
  ['is no tar', gzipSync('this is no tar '.repeat(100)), 'archive/tar: invalid tar header'],
  ['is a tar that is shorter than a block', gzipSync('short'), 'unexpected EOF'],
  ['has an entry that is cut off', gzipSync(entry({ name: 'a', body: 'x'.repeat(600) }).subarray(0, 600)), 'unexpected EOF'],
  ['has a size that is no number', tar({ name: 'a', size: '0000000000z\0' }), 'archive/tar: invalid tar header'],
  ['has a negative size', tar({ name: 'a', size: '-0000000001\0' }), 'archive/tar: invalid tar header'],
  ['has a size in base 256', tar({ name: 'a', size: '\u0080\0\0\0\0\0\0\0\0\0\0\u0001' }), 'archive/tar: invalid tar header'],
  ['has a size beyond its end', tar({ name: 'a', size: '77777777777\0' }), 'unexpected EOF'],
  [
    'has an extended header that is no record',
    tar({ name: 'x', type: 'x', body: 'nonsense' }, { name: 'a' }),
    'archive/tar: invalid tar header',
  ],
  [
    'has an extended header that overrides sizes',
    tar({ name: 'x', type: 'x', body: pax('size=9999') }, { name: 'a' }),
    'an extended header with size is not supported',
  ],
] as const)
  test(`an archive that ${title} is refused: ${wanted}`, async () => assert.equal(await why(archive), `failed to uncompress: ${wanted}`))

test('a header whose sum is wrong is refused', async () => {
  const block = entry({ name: 'a' })
  block.write('b', 0)
  assert.equal(await why(gzipSync(Buffer.concat([block, END]))), 'failed to uncompress: archive/tar: invalid tar header')
})

test('whatever bytes there are, a reason is the answer and never an exception', async () => {
  const good = Buffer.concat([
    entry({ name: 'a', body: 'x'.repeat(700) }),
    entry({ name: 'p', type: 'x', body: pax('path=b') }),
    entry({ name: 'c' }),
    END,
  ])
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 }),
      fc.uint8Array(),
      async (changes, bytes) => {
        const changed = Buffer.from(good)
        for (const [at, byte] of changes) changed[at] = byte
        for (const archive of [gzipSync(changed), gzipSync(bytes), bytes]) {
          const got = await unpack(archive)
          assert.ok(got.ok || got.detail.startsWith('failed to uncompress: '))
        }
      },
    ),
    { numRuns: 200 },
  )
})
