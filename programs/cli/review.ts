import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readManifests } from '../../src/world/cluster/manifests.ts'
import { uncounted } from '../../src/world/metrics.ts'
import { answerers, paths } from '../webhook/answer.ts'
import { openLog } from '../webhook/log.ts'
import type { Offline } from './offline.ts'
import { offline, saySettingProblems } from './offline.ts'
import type { Settings } from './options.ts'

const MAX_REVIEW_BYTES = 8 * 1024 * 1024 // what the webhook takes over the wire
const BUDGET = 30_000 // ms; nobody waits behind an offline answer, and a slow registry should be heard out

const ALLOWED = 0
const DENIED = 1
const NOT_ASKED = 2

/** What stands in a file, or why it cannot be asked about. */
type Asked = { readonly name: string; readonly bytes: Buffer } | { readonly name: string; readonly problem: string }

/** `sealgate review`: answers AdmissionReviews from files as the webhook would. One file: the answer; several, or a folder: one JSON line a file, with its answer or why there is none. */
export async function review(settings: Settings, files: readonly string[]): Promise<number> {
  if (files.length === 0) return say('review needs a FILE with an AdmissionReview, or - for standard input')
  try {
    const log = openLog({ level: 'warn', format: settings.logFormat ?? 'text', to: 'stderr' })
    const cluster = await readManifests(settings.manifests, { systemNamespace: settings.systemNamespace, log })
    return await offline(settings, cluster, log, (opened) => answerAll(opened, settings.path, files))
  } catch (error) {
    return say(error instanceof Error ? error.message : String(error))
  }
}

async function answerAll({ snapshot, around, registrar }: Offline, path: string, files: readonly string[]): Promise<number> {
  saySettingProblems('review', snapshot)
  const answer = answerers(() => snapshot, around, registrar, uncounted).get(path)
  if (!answer) return say(`--path ${path} is none of ${paths.join(', ')}`)
  const asked = await read(files)
  const many = asked.length > 1 || (await isFolder(files[0] ?? ''))
  let status = ALLOWED
  for (const file of asked) {
    const { name } = file
    const unread = { status: 0, body: 'problem' in file ? file.problem : '', about: undefined }
    const { status: http, body, about } = 'bytes' in file ? await answer(file.bytes, { at: performance.now() + BUDGET }) : unread
    if (http === 200) {
      process.stdout.write(many ? `{"file":${JSON.stringify(name)},"answer":${body}}\n` : `${body}\n`)
      status = Math.max(status, about?.allowed ? ALLOWED : DENIED)
    } else {
      process.stderr.write(`sealgate review: ${name}: ${body.trimEnd()}\n`)
      if (many) process.stdout.write(`${JSON.stringify({ file: name, error: body.trimEnd() })}\n`)
      status = NOT_ASKED
    }
  }
  return status
}

function say(text: string): number {
  process.stderr.write(`sealgate review: ${text}\n`)
  return NOT_ASKED
}

async function read(files: readonly string[]): Promise<Asked[]> {
  const asked: Asked[] = []
  for (const file of files) {
    if (file === '-') asked.push({ name: '-', bytes: await fromStandardInput() })
    else if (await isFolder(file)) {
      const names = (await readdir(file)).filter((n) => n.endsWith('.json')).toSorted()
      // Nothing that was asked is no «allowed».
      if (names.length === 0) throw new Error(`${file}: the folder has no file whose name ends with .json`)
      for (const name of names) asked.push(await fromFile(join(file, name)))
    } else asked.push(await fromFile(file))
  }
  return asked
}

async function fromFile(file: string): Promise<Asked> {
  try {
    const { size } = await stat(file)
    if (size > MAX_REVIEW_BYTES) return { name: file, problem: `${size} bytes, and a review has at most ${MAX_REVIEW_BYTES}` }
    return { name: file, bytes: await readFile(file) }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return { name: file, problem: code === 'ENOENT' ? 'no such file' : message }
  }
}

async function fromStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const bytes of process.stdin as AsyncIterable<Buffer>) {
    size += bytes.length
    if (size > MAX_REVIEW_BYTES) throw new Error(`standard input: a review has at most ${MAX_REVIEW_BYTES} bytes`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}

async function isFolder(file: string): Promise<boolean> {
  if (file === '-') return false
  const found = await stat(file).catch(() => undefined)
  return found?.isDirectory() === true
}
