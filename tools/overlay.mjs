// overlay.mjs: lets a vat's source outside of any npm package, or in a package
// that has not installed what the source imports, use the packages of build/npm.
//
// Nothing is written: the powers given to @endo/bundle-source answer as if the
// source's package depended on those packages and had them in node_modules.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

// What stands for the package of a lone file. It enters the bundle, hence no path in it.
const LONE_PACKAGE = { name: 'vat', version: '0.0.0' };

/**
 * The directory of the closest package.json above file, or undefined.
 *
 * @param {string} file
 */
export const nearestPackage = file => {
  for (let dir = path.dirname(file); ; dir = path.dirname(dir)) {
    if (fs.existsSync(path.join(dir, 'package.json'))) return dir;
    if (dir === path.dirname(dir)) return undefined;
  }
};

const readIfThere = async file => {
  try {
    return await fs.promises.readFile(file);
  } catch (err) {
    if (['ENOENT', 'EISDIR', 'ENOTDIR'].includes(err.code)) return undefined;
    throw err;
  }
};

const directoryURL = dir => `${pathToFileURL(dir).href.replace(/\/$/, '')}/`;

const realDirectory = async location => {
  try {
    return directoryURL(await fs.promises.realpath(fileURLToPath(location)));
  } catch {
    return undefined;
  }
};

const parseDescriptor = (bytes, location) => {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (err) {
    throw Error(`${fileURLToPath(location)}: ${err.message}`);
  }
};

/**
 * The package that the source is taken to lie in: its own, as an ES module
 * package, plus every package of build/npm it could import.
 */
const pretendDescriptor = (own, available) => ({
  ...LONE_PACKAGE,
  ...own,
  type: own?.type ?? 'module',
  dependencies: { ...available, ...own?.dependencies },
});

/**
 * Read powers for bundle-source. A dependency of the source's package is looked
 * for where it would be, then in build/npm.
 *
 * @param {string} file absolute, without links
 * @param {string} npmDir
 */
export const makeOverlayPowers = (file, npmDir) => {
  const root = nearestPackage(file) ?? path.dirname(file);
  const rootURL = directoryURL(root);
  const descriptorURL = new URL('package.json', rootURL).href;
  const modulesURL = new URL('node_modules/', rootURL).href;
  const ourModules = new URL('node_modules/', directoryURL(fs.realpathSync(npmDir))).href;
  const { dependencies: available } = JSON.parse(fs.readFileSync(path.join(npmDir, 'package.json'), 'utf8'));

  const maybeRead = async location => {
    const bytes = await readIfThere(fileURLToPath(location));
    if (location !== descriptorURL) return bytes;
    const own = bytes && parseDescriptor(bytes, location);
    return Buffer.from(JSON.stringify(pretendDescriptor(own, available)));
  };
  const read = async location => {
    const bytes = await maybeRead(location);
    if (bytes === undefined) throw Error(`ENOENT: no such file, open ${fileURLToPath(location)}`);
    return bytes;
  };
  const canonical = async location => {
    const real = location.endsWith('/') ? await realDirectory(location) : undefined;
    if (real !== undefined || !location.startsWith(modulesURL)) return real ?? location;
    const ours = await realDirectory(new URL(location.slice(modulesURL.length), ourModules).href);
    return ours ?? location;
  };
  return {
    read,
    maybeRead,
    canonical,
    fileURLToPath,
    pathToFileURL,
    computeSha512: bytes => crypto.createHash('sha512').update(bytes).digest('hex'),
  };
};
