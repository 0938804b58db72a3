#!/usr/bin/env node
// bundle.mjs: turns a vat's source into a bundle that a vat can be made from.
//
//   node tools/bundle.mjs [--dev] SOURCE OUT         one bundle
//   node tools/bundle.mjs --all OUTDIR SOURCE...     OUTDIR/<name>.json each, where older than the source
//
// The bundle is what @endo/bundle-source makes in the format endoZipBase64, and
// depends on neither the time nor the place it is made in. Imports are resolved
// from the source's own npm package. Where there is none, or it lacks a module
// that the source imports, the packages installed in build/npm stand in.
// Any failure is one line on stderr; exit 1, or 2 for a wrong command line.
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { makeOverlayPowers, nearestPackage } from './overlay.mjs';
import { describeFailure } from './failures.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const npmDir = path.join(here, '..', 'build', 'npm');
const lockfile = path.join(here, '..', 'xsnap', 'npm', 'package-lock.json');
const scripts = ['bundle.mjs', 'overlay.mjs', 'failures.mjs'].map(name => path.join(here, name));

/** A failure to be reported by its message alone. */
class Refusal extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

const loadBundler = async () => {
  const marker = path.join(npmDir, 'package.json');
  if (!fs.existsSync(marker)) {
    throw new Refusal(`cannot find the npm packages in ${path.resolve(npmDir)}; run: make bundles`);
  }
  const require = createRequire(marker);
  // Debug taming: messages of errors keep their details.
  await import(pathToFileURL(require.resolve('@endo/init/debug.js')));
  const { default: bundleSource } = await import(pathToFileURL(require.resolve('@endo/bundle-source')));
  return bundleSource;
};

const bundleFile = async (bundleSource, file, dev) => {
  const options = { format: 'endoZipBase64', dev };
  const bundleWith = powers => bundleSource(file, options, powers);
  if (!nearestPackage(file)) {
    return bundleWith(makeOverlayPowers(file, npmDir));
  }
  try {
    return await bundleWith(undefined);
  } catch {
    // Without the module it lacks, or without "type": "module"; a real mistake fails again.
    return bundleWith(makeOverlayPowers(file, npmDir));
  }
};

const mustBeFile = file => {
  let info;
  try {
    info = fs.statSync(file);
  } catch (err) {
    throw new Refusal(err.code === 'ENOENT' ? `${file}: no such file` : `${file}: ${err.message}`);
  }
  if (!info.isFile()) throw new Refusal(`${file}: is not a file`);
};

const writeWhole = (out, text) => {
  const temporary = `${out}.new.${process.pid}`;
  try {
    fs.writeFileSync(temporary, text);
    fs.renameSync(temporary, out);
  } catch (err) {
    fs.rmSync(temporary, { force: true });
    throw new Refusal(`cannot write ${out}: ${err.message}`);
  }
};

const bundleInto = async (bundleSource, source, out, dev) => {
  mustBeFile(source);
  const file = fs.realpathSync(source);
  let bundle;
  try {
    bundle = await bundleFile(bundleSource, file, dev);
  } catch (err) {
    throw new Refusal(describeFailure(err, file));
  }
  writeWhole(out, `${JSON.stringify(bundle)}\n`);
};

const mtime = file => fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

// Relative imports of the sources lie beside them, so a directory counts as one.
const bundleAll = async (outDir, sources) => {
  const inputs = Math.max(...[lockfile, ...scripts, ...sources].map(mtime));
  const outOf = source => path.join(outDir, `${path.basename(source, '.js')}.json`);
  const stale = sources.filter(source => mtime(outOf(source)) < inputs);
  if (stale.length === 0) return;
  process.stderr.write(`bundles: bundling ${stale.length} vats into ${outDir}\n`);
  fs.mkdirSync(outDir, { recursive: true });
  const bundleSource = await loadBundler();
  for (const source of stale) {
    await bundleInto(bundleSource, source, outOf(source), false);
  }
};

const usage = 'usage: bundle.mjs [--dev] SOURCE OUT, or bundle.mjs --all OUTDIR SOURCE...';

const main = async args => {
  if (args[0] === '--all' && args.length >= 2) {
    return bundleAll(args[1], args.slice(2));
  }
  const dev = args[0] === '--dev';
  const [source, out, ...rest] = dev ? args.slice(1) : args;
  if (!out || rest.length > 0 || source.startsWith('--')) throw new Refusal(usage, 2);
  mustBeFile(source);
  return bundleInto(await loadBundler(), source, out, dev);
};

main(process.argv.slice(2)).catch(err => {
  const line = err instanceof Refusal ? err.message : describeFailure(err, '');
  process.stderr.write(`bundle: ${line}\n`);
  process.exitCode = err.exitCode ?? 1;
});
