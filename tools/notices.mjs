// notices.mjs: prints the licences of all that a release contains, from the Go
// modules that are linked into vatworkerd and the packages in build/npm.
//
//   node tools/notices.mjs
//
// Something without a licence is an error: it must not be given away.
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const isNotice = name => /^(licen[cs]e|copying|notice)([.-].*)?$/i.test(name);

/** The texts of a directory that say how it may be used. */
const noticesIn = dir =>
  fs
    .readdirSync(dir, { withFileTypes: true })
    .filter(entry => entry.isFile() && isNotice(entry.name))
    .map(entry => fs.readFileSync(path.join(dir, entry.name), 'utf8').trim());

/**
 * The npm packages below a node_modules, with those that they have of their own.
 *
 * @param {string} modules
 */
export const npmParts = modules => {
  if (!fs.existsSync(modules)) return [];
  const names = fs.readdirSync(modules).filter(name => !name.startsWith('.'));
  const dirs = names.flatMap(name =>
    name.startsWith('@') ? fs.readdirSync(path.join(modules, name)).map(inner => path.join(modules, name, inner)) : path.join(modules, name),
  );
  return dirs.flatMap(dir => {
    const { name, version, license } = JSON.parse(fs.readFileSync(path.join(dir, 'package.json'), 'utf8'));
    const said = license ? [`Licence: ${license}`] : [];
    return [{ name: `npm ${name} ${version}`, texts: [...said, ...noticesIn(dir)] }, ...npmParts(path.join(dir, 'node_modules'))];
  });
};

/** The modules that are linked in; some of their packages have licences of their own. */
const goParts = () => {
  const format = '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}';
  const lines = execFileSync('go', ['list', '-deps', '-f', format, './cmd/vatworkerd'], { cwd: root, encoding: 'utf8' });
  const dirs = new Map();
  for (const line of lines.split('\n').filter(text => text)) {
    const [module, dir, packageDir] = line.split('\t');
    dirs.set(module, (dirs.get(module) ?? new Set([dir])).add(packageDir));
  }
  return [...dirs].map(([module, places]) => ({ name: `Go module ${module}`, texts: [...places].flatMap(noticesIn) }));
};

const goItself = () => {
  const goroot = execFileSync('go', ['env', 'GOROOT'], { encoding: 'utf8' }).trim();
  return { name: 'the Go standard library', texts: noticesIn(goroot) };
};

/** Parts that are no package, or whose package does not tell all. */
const otherParts = () => [
  {
    name: 'SQLite (in github.com/mattn/go-sqlite3)',
    texts: ['The authors of SQLite have dedicated it to the public domain.'],
  },
  {
    name: 'the GNU C library (linked into bin/vatworkerd)',
    texts: [
      'Licence: LGPL-2.1-or-later. Its sources are those of the system that the release was built on. To link the program with\nanother C library, take the sources of vatworkerd at the commit that `vatworkerd version` names, and run `make install`.',
    ],
  },
  {
    name: 'XS, of the Moddable SDK Runtime (in the engines, from npm @agoric/xsnap)',
    texts: [
      'Licence: LGPL-3.0-or-later; parts of it Apache-2.0, by Marvell International Ltd. and Kinoma, Inc. Its sources are those in\nthat npm package; `make engine native` builds the engines from them.',
    ],
  },
];

/**
 * One text of all parts; those with the same licence stand together.
 *
 * @param {{ name: string, texts: string[] }[]} parts
 */
export const notices = parts => {
  const groups = new Map();
  for (const { name, texts } of [...parts].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (texts.length === 0) throw Error(`${name} has no licence`);
    const text = texts.join('\n\n');
    groups.set(text, (groups.get(text) ?? new Set()).add(name));
  }
  const rule = '-'.repeat(80);
  const told = [...groups].map(([text, names]) => `${rule}\n${[...names].join('\n')}\n${rule}\n\n${text}\n`);
  return `What a release of vatworkerd contains of others' work, and under which licences.\n\n${told.join('\n')}`;
};

const main = () => {
  const parts = [goItself(), ...goParts(), ...npmParts(path.join(root, 'build', 'npm', 'node_modules')), ...otherParts()];
  process.stdout.write(notices(parts));
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main();
  } catch (err) {
    process.stderr.write(`notices: ${err.message}\n`);
    process.exitCode = 1;
  }
}
