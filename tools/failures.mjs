// failures.mjs: says in one line what is wrong with a vat's source.
//
// @endo/bundle-source nests what went wrong in a chain of "Failed to load
// module" messages and has no codes, so the innermost is found by its wording.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

const pathOf = location => {
  try {
    return fileURLToPath(location);
  } catch {
    return location;
  }
};

/** FILE:LINE of the first mention of a module in the source, or FILE. */
const placeOfImport = (file, specifier) => {
  let lines;
  try {
    lines = fs.readFileSync(file, 'utf8').split('\n');
  } catch {
    return file;
  }
  // A relative module is told from its package's root; the source says it from its own directory.
  const tail = specifier.startsWith('.') ? specifier.slice(specifier.lastIndexOf('/')) : specifier;
  const index = lines.findIndex(text => text.includes(`${tail}'`) || text.includes(`${tail}"`));
  return index < 0 ? file : `${file}:${index + 1}`;
};

/** FILE of the innermost module that could not be loaded. */
const failingModule = (message, file) => {
  const all = [...message.matchAll(/Failed to load module "([^"]+)" in package "(file:[^"]+)"/g)];
  if (all.length === 0) return file;
  const [, specifier, location] = all[all.length - 1];
  return specifier.startsWith('.') ? pathOf(new URL(specifier, location).href) : file;
};

// Each pattern of a message with the line it is told as.
const tellings = [
  [
    /Error transforming "\w+" source in "(file:[^"]+)": ([^\n]*?) \((\d+):(\d+)\)/,
    (_file, location, problem, line, column) =>
      `${pathOf(location)}:${line}:${Number(column) + 1}: syntax error: ${problem}`,
  ],
  [
    /Cannot find external module "([^"]+)"/,
    (file, specifier) =>
      `${placeOfImport(file, specifier)}: cannot find the module "${specifier}"; install it in the source's npm package`,
  ],
  [
    /Cannot find file for internal module "([^"]+)"/,
    (file, specifier) => `${placeOfImport(file, specifier)}: cannot find the file of the module "${specifier}"`,
  ],
];

/**
 * One line for a failure to bundle file, with a place where the failure has one.
 *
 * @param {Error} err
 * @param {string} file
 */
export const describeFailure = (err, file) => {
  const message = String(err?.message ?? err);
  for (const [pattern, tell] of tellings) {
    const match = message.match(pattern);
    if (match) return tell(failingModule(message.slice(0, match.index), file), ...match.slice(1));
  }
  const line = message.replace(/\s*\n\s*/g, ' ');
  return file && !line.includes(file) ? `${file}: ${line}` : line;
};
