import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A group of processes whose memory the kernel bounds, as it does a container's; and kills one of when they take more. */
export type Container = {
  /** A shell command that puts its shell into the group. */
  readonly enter: string
  remove(): void
}

const V2 = '/sys/fs/cgroup/cgroup.controllers'
const V1 = '/sys/fs/cgroup/memory/memory.limit_in_bytes'

/** Undefined where this process may not make one, as without being root. */
export function container(bytes: number): Container | undefined {
  const name = `sealgate-bench-${process.pid}`
  const isV2 = existsSync(V2) && readFileSync(V2, 'utf8').includes('memory')
  if (!isV2 && !existsSync(V1)) return undefined
  const folder = join(isV2 ? '/sys/fs/cgroup' : '/sys/fs/cgroup/memory', name)
  try {
    mkdirSync(folder)
    writeFileSync(join(folder, isV2 ? 'memory.max' : 'memory.limit_in_bytes'), String(bytes))
  } catch {
    return undefined
  }
  return {
    enter: `echo $$ > ${join(folder, 'cgroup.procs')}`,
    remove() {
      try {
        rmdirSync(folder)
      } catch {
        // A process that has just ended may still be counted; an empty group costs nothing.
      }
    },
  }
}
