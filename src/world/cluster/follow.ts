import { type FSWatcher, statSync, watch } from 'node:fs'
import type { Log } from '../log.ts'

/**
 * Calls `changed` whenever something in the folders may have changed, and now and then without cause: network file systems and full
 * inotify tables tell nobody of changes, so being told is only the faster way. `folders` is asked again each time, and may name folders
 * that do not exist yet.
 */
export function follow(folders: () => readonly string[], changed: () => void, pollMs: number, log: Log): { close(): void } {
  const watched = new Map<string, { readonly watcher: FSWatcher; readonly identity: string }>()
  let told = false

  const stop = (folder: string) => {
    watched.get(folder)?.watcher.close()
    watched.delete(folder)
  }
  const arm = () => {
    const wanted = new Set(folders())
    for (const folder of watched.keys()) if (!wanted.has(folder)) stop(folder)
    for (const folder of wanted) {
      // A folder that was replaced has another inode; its watcher would wait for the old one for ever.
      const identity = identityOf(folder)
      if (watched.get(folder)?.identity === identity) continue
      stop(folder)
      if (identity === undefined) continue
      try {
        const watcher = watch(folder, { persistent: false })
        watcher.on('change', () => {
          arm()
          changed()
        })
        watcher.on('error', () => stop(folder))
        watched.set(folder, { watcher, identity })
      } catch (error) {
        if (!told) log.warn('changes of files are only looked for, not told', { folder, every: pollMs, error })
        told = true
      }
    }
  }

  arm()
  const poll = setInterval(() => {
    arm()
    changed()
  }, pollMs)
  poll.unref()
  return {
    close() {
      clearInterval(poll)
      for (const folder of watched.keys()) stop(folder)
    },
  }
}

function identityOf(folder: string): string | undefined {
  const stats = statSync(folder, { throwIfNoEntry: false })
  return stats && `${stats.dev}:${stats.ino}`
}
