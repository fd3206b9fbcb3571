import { gunzip } from 'node:zlib'

/** Bytes of an archive as it arrives: an object in Kubernetes holds 1 MiB of base64, a file may hold more. */
export const MAX_ARCHIVE_BYTES = 8 * 1024 * 1024
const MAX_UNPACKED_BYTES = 32 * 1024 * 1024 // all files and headers together: a TUF repository has some 100 KiB, a bomb a thousand times what it weighs
const MAX_ENTRIES = 4_000 // files, folders and headers
const MAX_NAME = 1_024 // bytes of a name, which an extended header may make as long as it likes
const BLOCK = 512

/** The files of an archive by name, without `/` at the beginning; or what is wrong, in the words that users know from Go. */
export type Unpacked =
  | { readonly ok: true; readonly files: ReadonlyMap<string, Uint8Array> }
  | { readonly ok: false; readonly detail: string }

/** Thrown and caught within this file only. */
class Malformed extends Error {}

/**
 * Unpacks a gzip'd tar (POSIX.1-2001 ustar and pax, GNU long names) into memory; nothing is written anywhere. `/repository/` at the
 * beginning of a name is stripped (specification 1.5). Whoever may write a TrustRoot wrote it: links, devices, names with `..`, two
 * files of one name, and more than 32 MiB or 4,000 entries are refused. `failed to uncompress: …`; never rejects.
 */
export async function unpack(archive: Uint8Array): Promise<Unpacked> {
  if (archive.length > MAX_ARCHIVE_BYTES) return failed(`size of archive (${archive.length}) exceeded the limit (${MAX_ARCHIVE_BYTES})`)
  const tar = await new Promise<Buffer | string>((done) => {
    gunzip(archive, { maxOutputLength: MAX_UNPACKED_BYTES }, (error, bytes) => done(error ? gzipCause(error) : bytes))
  })
  if (typeof tar === 'string') return failed(tar)
  try {
    return { ok: true, files: filesIn(tar) }
  } catch (error) {
    if (error instanceof Malformed) return failed(error.message)
    throw error
  }
}

function failed(cause: string): Unpacked {
  return { ok: false, detail: `failed to uncompress: ${cause}` }
}

function gzipCause(error: NodeJS.ErrnoException): string {
  if (error.code === 'Z_BUF_ERROR') return 'unexpected EOF'
  if (error.code === 'ERR_BUFFER_TOO_LARGE') return `it unpacks to more than the limit (${MAX_UNPACKED_BYTES} bytes)`
  switch (error.message) {
    case 'incorrect header check':
    case 'unknown compression method':
      return 'gzip: invalid header'
    case 'incorrect data check':
    case 'incorrect length check':
      return 'gzip: invalid checksum'
    default:
      return `gzip: ${error.message}`
  }
}

function filesIn(tar: Buffer): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>()
  let longName: string | undefined
  let entries = 0
  for (let at = 0; at < tar.length;) {
    const header = tar.subarray(at, at + BLOCK)
    if (header.length < BLOCK) throw new Malformed('unexpected EOF')
    if (header.every((byte) => byte === 0)) break
    if (++entries > MAX_ENTRIES) throw new Malformed(`number of entries exceeded the limit (${MAX_ENTRIES})`)
    if (checksum(header) !== octal(header, 148, 8)) throw new Malformed('archive/tar: invalid tar header')
    const size = octal(header, 124, 12)
    const body = tar.subarray(at + BLOCK, at + BLOCK + size)
    if (body.length < size) throw new Malformed('unexpected EOF')
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
    const type = String.fromCharCode(header[156] ?? 0)
    switch (type) {
      case 'g': // about all that follow: nothing of it is needed
        continue
      case 'x':
        longName = paxPath(body) ?? longName
        continue
      case 'L':
        longName = text(body)
        continue
      case '0':
      case '\0':
      case '5': {
        const name = nameOf(longName ?? shortName(header))
        longName = undefined
        if (type === '5' || name === '') continue
        if (files.has(name)) throw new Malformed(`two files are named ${JSON.stringify(name)}`)
        files.set(name, body)
        continue
      }
      default:
        throw new Malformed(`${JSON.stringify(shortName(header))} is neither a file nor a folder`)
    }
  }
  return files
}

function shortName(header: Buffer): string {
  const isUstar = header.toString('latin1', 257, 262) === 'ustar'
  // GNU's own headers have times where ustar has the beginning of a name.
  const prefix = isUstar && header[262] === 0 ? text(header.subarray(345, 500)) : ''
  const name = text(header.subarray(0, 100))
  return prefix === '' ? name : `${prefix}/${name}`
}

/** The name that a file is asked for by. */
function nameOf(name: string): string {
  if (name.length > MAX_NAME) throw new Malformed(`a name has more than ${MAX_NAME} bytes`)
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..') || name.includes('\\')) throw new Malformed(`${JSON.stringify(name.slice(0, 200))} leads out of the archive`)
  return (parts[0] === 'repository' ? parts.slice(1) : parts).join('/')
}

/** `path` of a pax header: records of `LENGTH KEY=VALUE\n`. */
function paxPath(body: Buffer): string | undefined {
  let path: string | undefined
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(' ', at)
    const digits = space < 0 ? '' : body.toString('latin1', at, space)
    const length = /^\d{1,8}$/.test(digits) ? Number(digits) : 0
    if (length <= digits.length + 1 || at + length > body.length) throw new Malformed('archive/tar: invalid tar header')
    const [key, value] = split(body.toString('utf8', space + 1, at + length - 1))
    if (key === 'path') path = value
    // A size here would override that of the header.
    if (key === 'size' || key === 'linkpath') throw new Malformed(`an extended header with ${key} is not supported`)
    at += length
  }
  return path
}

function split(record: string): readonly [string, string] {
  const at = record.indexOf('=')
  return [record.slice(0, Math.max(at, 0)), record.slice(at + 1)]
}

function text(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end)
}

function octal(header: Buffer, from: number, length: number): number {
  const digits = header
    .toString('latin1', from, from + length)
    .replace(/[\0 ]+$/, '')
    .trimStart()
  if (!/^[0-7]{1,11}$/.test(digits)) throw new Malformed('archive/tar: invalid tar header')
  return Number.parseInt(digits, 8)
}

/** The sum of all bytes, those of the sum itself counted as spaces. */
function checksum(header: Buffer): number {
  return header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 32 : byte), 0)
}
