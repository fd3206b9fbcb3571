import type { Check } from '../project.ts'

type Manifest = Readonly<Record<'dependencies' | 'devDependencies' | 'optionalDependencies', Readonly<Record<string, string>> | undefined>>

const PAGE = 'docs/reference/dependencies.md'

export const dependencies: Check = {
  claim: `dependencies are pinned exactly and used, each has its reason in ${PAGE}, and the lock file names no download address`,
  violations(project) {
    const manifest = JSON.parse(project.text('package.json')) as Manifest
    const pins = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies }
    // A row of the page's table may name several: | `a`, `b` | reason |
    const explained = new Set(
      project
        .text(PAGE)
        .split('\n')
        .filter((line) => line.startsWith('| `'))
        .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')),
    )
    const product = project.files.filter((file) => /^(src|programs)\/.*\.ts$/.test(file)).map((file) => project.text(file))
    const isUsed = (name: string): boolean => product.some((text) => text.includes(`'${name}'`) || text.includes(`'${name}/`))
    return [
      ...Object.keys(manifest.dependencies ?? {}).flatMap((name) => (isUsed(name) ? [] : [`package.json: nothing imports ${name}`])),
      ...Object.entries(pins).flatMap(([name, version]) =>
        /^\d+\.\d+\.\d+$/.test(version) ? [] : [`package.json: ${name} is not pinned: ${version}`],
      ),
      ...Object.keys(pins).flatMap((name) => (explained.has(name) ? [] : [`${PAGE}: no reason for ${name}`])),
      ...[...explained].flatMap((name) => (name in pins ? [] : [`${PAGE}: ${name} is no dependency`])),
      ...missingFromLock(JSON.parse(project.text('package-lock.json')) as Lock),
      ...(project.text('package-lock.json').includes('"resolved"')
        ? ["package-lock.json: names download addresses; npm install with this folder's .npmrc leaves them out"]
        : []),
    ]
  },
}

type Lock = { readonly packages?: Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>> }

/** `npm ci` refuses a lock file that leaves out the packages of other platforms, as npm writes it where the registry does not have them. */
function missingFromLock({ packages = {} }: Lock): string[] {
  return Object.values(packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => packages[`node_modules/${name}`] === undefined)
    .map((name) => `package-lock.json: ${name} is missing, so npm ci refuses it`)
}
