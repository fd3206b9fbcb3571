// Loaded first by every npm script, and by bin/sealgate where the pinned Node is missing. Plain JavaScript that an old Node reads too:
// without it, an old Node would only say ERR_UNKNOWN_FILE_EXTENSION.
import { readFileSync } from 'node:fs'

const pins = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).optionalDependencies
const pinned = Object.values(pins)[0]
const needed = Number(pinned.split('.')[0])

if (Number(process.versions.node.split('.')[0]) < needed) {
  const platform = `${process.platform}-${process.arch}`
  const comes = Object.keys(pins).some((name) => name.endsWith(platform))
  console.error(`Sealgate needs Node ${needed} or newer; this is Node ${process.versions.node} on ${platform}.
Its TypeScript sources run as they are, and Node ${pinned} is the version they are tested with.
${
  comes
    ? `\`npm ci\` brings that Node along for ${platform}. It is missing: run \`npm ci\` again, without \`--omit=optional\` or \`omit=optional\` in an .npmrc.`
    : `\`npm ci\` brings that Node along for ${Object.keys(pins)
        .map((name) => name.replace(/^node-(bin-)?/, ''))
        .join(
          ', ',
        )}, but not for ${platform}: install it from https://nodejs.org/en/download or with a version manager (nvm install ${needed}).`
}`)
  process.exit(2)
}
