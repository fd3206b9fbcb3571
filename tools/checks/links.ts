import { posix } from 'node:path'
import type { Check } from '../project.ts'

/** The anchor that GitHub gives a heading. */
export function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-')
}

function anchors(markdown: string): Set<string> {
  return new Set([...withoutFences(markdown).matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf(match[1] ?? '')))
}

function withoutFences(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```$/gm, '')
}

export const links: Check = {
  claim: 'every link inside the documentation leads somewhere',
  violations(project) {
    const files = new Set(project.files)
    const folders = new Set(project.files.flatMap((file) => file.split('/').map((_, at, parts) => parts.slice(0, at).join('/'))))
    return project.files
      .filter((file) => file.endsWith('.md'))
      .flatMap((file) =>
        [...withoutFences(project.text(file)).matchAll(/\]\(([^)\s]+)\)/g)].flatMap((match) => {
          const link = match[1] ?? ''
          if (/^[a-z]+:/.test(link)) return []
          const [path = '', anchor] = link.split('#')
          const target = path === '' ? file : posix.join(posix.dirname(file), path).replace(/\/$/, '')
          if (!files.has(target) && !folders.has(target)) return [`${file}: ${link} leads nowhere`]
          const lost = anchor !== undefined && target.endsWith('.md') && !anchors(project.text(target)).has(anchor)
          return lost ? [`${file}: ${link} leads to no heading`] : []
        }),
      )
  },
}
