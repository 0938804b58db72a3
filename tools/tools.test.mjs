// tools.test.mjs: tests of the bundler, of the check for prerequisites, and of the notices of licences.
// `make test` runs them, with build/npm installed: node --test tools/
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { notices, npmParts } from './notices.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

/** A directory with the given files, removed after the test. */
const directory = (t, files) => {
  const dir = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'bundle test ')));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
    fs.writeFileSync(path.join(dir, name), text);
  }
  return dir;
};

const bundler = (...args) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(here, 'bundle.mjs'), ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
};

const bundle = (dir, name) => {
  const out = path.join(dir, 'out.json');
  assert.deepEqual(bundler(path.join(dir, name), out), { status: 0, stdout: '', stderr: '' });
  return JSON.parse(fs.readFileSync(out, 'utf8'));
};

const lone = {
  'bob.js': `import { Far } from '@endo/far';
import { hello } from './lib/hello.js';
export const buildRootObject = () => Far('bob', { hello });
`,
  'lib/hello.js': `export const hello = name => 'hello ' + name;\n`,
};

test('a lone file uses our packages, and its bundle does not depend on its place', t => {
  const here1 = bundle(directory(t, lone), 'bob.js');
  const here2 = bundle(directory(t, lone), 'bob.js');
  assert.equal(here1.moduleFormat, 'endoZipBase64');
  assert.match(here1.endoZipBase64Sha512, /^[0-9a-f]{128}$/);
  assert.deepEqual(here1, here2);
});

test('a package that has installed nothing, or says no type, is helped out', t => {
  const plain = { ...lone, 'package.json': '{"name":"p","version":"1.0.0"}' };
  const declared = { ...lone, 'package.json': '{"name":"p","version":"1.0.0","type":"module","dependencies":{"@endo/far":"*"}}' };
  const first = bundle(directory(t, plain), 'bob.js');
  assert.deepEqual(first, bundle(directory(t, plain), 'bob.js'));
  assert.equal(first.endoZipBase64Sha512, bundle(directory(t, declared), 'bob.js').endoZipBase64Sha512);
});

test("the package's own modules go first", t => {
  const own = {
    'vat.js': `import { who } from '@endo/far';\nexport const buildRootObject = () => who;\n`,
    'package.json': '{"name":"p","version":"1.0.0","type":"module","dependencies":{"@endo/far":"*"}}',
    'node_modules/@endo/far/package.json': '{"name":"@endo/far","version":"9.9.9","type":"module","main":"./main.js"}',
    'node_modules/@endo/far/main.js': `export const who = 'the package itself';\n`,
  };
  const made = bundle(directory(t, own), 'vat.js');
  assert.match(Buffer.from(made.endoZipBase64, 'base64').toString('latin1'), /the package itself/);
});

test('a failure is one line with its place', t => {
  const dir = directory(t, {
    'syntax.js': `const a = 1;\nexport const b = (;\n`,
    'nested.js': `import { b } from './syntax.js';\nexport const buildRootObject = () => b;\n`,
    'module.js': `const a = 1;\nimport { b } from 'no-such-module';\nexport const c = b;\n`,
    'file.js': `import { b } from './lib/nothing.js';\nexport const c = b;\n`,
    'broken/package.json': '{"name":',
    'broken/vat.js': 'export const a = 1;\n',
  });
  const cases = {
    'syntax.js': `${dir}/syntax.js:2:19: syntax error: Unexpected token`,
    'nested.js': `${dir}/syntax.js:2:19: syntax error: Unexpected token`,
    'module.js': `${dir}/module.js:2: cannot find the module "no-such-module"; install it in the source's npm package`,
    'file.js': `${dir}/file.js:1: cannot find the file of the module "./lib/nothing.js"`,
    'absent.js': `${dir}/absent.js: no such file`,
    broken: `${dir}/broken: is not a file`,
  };
  for (const [name, line] of Object.entries(cases)) {
    const out = path.join(dir, 'out.json');
    assert.deepEqual(bundler(path.join(dir, name), out), { status: 1, stdout: '', stderr: `bundle: ${line}\n` });
    assert.equal(fs.existsSync(out), false);
  }
  const { status, stderr } = bundler(`${dir}/broken/vat.js`, `${dir}/out.json`);
  assert.equal(status, 1);
  assert.match(stderr, /^bundle: .*broken\/package\.json: .*\n$/);
  assert.match(bundler(`${dir}/file.js`).stderr, /^bundle: usage: .*\n$/);
  assert.equal(bundler(`${dir}/file.js`).status, 2);
  assert.match(bundler(path.join(here, '..', 'testdata/bundles/echo.js'), `${dir}/no/out`).stderr, /^bundle: cannot write .*\n$/);
});

test('a missing or old prerequisite is one line', t => {
  const dir = directory(t, { go: '#!/bin/sh\necho go1.20.1\n', node: '#!/bin/sh\necho v18.1.0\n' });
  for (const name of ['go', 'node']) fs.chmodSync(path.join(dir, name), 0o755);
  for (const tool of ['sed', 'sort', 'head', 'uname', 'printf']) {
    const real = spawnSync('/bin/sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).stdout.trim();
    if (real.startsWith('/')) fs.symlinkSync(real, path.join(dir, tool));
  }
  const need = program =>
    spawnSync('/bin/sh', [path.join(here, 'need.sh'), program], { encoding: 'utf8', env: { PATH: dir } }).stdout;
  assert.equal(need('linux'), '');
  assert.match(need('cc'), /^missing prerequisite: cc; install a C compiler .*\n$/);
  assert.match(need('npm'), /^missing prerequisite: npm; install .*\n$/);
  assert.match(need('go'), /^go 1\.20\.1 is too old; install Go 1\.26 .*\n$/);
  assert.match(need('node'), /^node 18\.1\.0 is too old; install Node\.js 20\.9 .*\n$/);
});

test('the notices have the licence of each package, the same text once', t => {
  const dir = directory(t, {
    'a/package.json': '{"name":"a","version":"1.0.0","license":"MIT"}',
    'a/LICENSE.md': 'do as you like\n',
    'a/node_modules/b/package.json': '{"name":"b","version":"2.0.0"}',
    'a/node_modules/b/COPYING': 'ask first\n',
    '@s/c/package.json': '{"name":"@s/c","version":"3.0.0","license":"MIT"}',
    '@s/c/license': 'do as you like\n',
  });
  const text = notices(npmParts(dir));
  for (const part of ['npm @s/c 3.0.0\nnpm a 1.0.0\n', 'npm b 2.0.0', 'Licence: MIT\n\ndo as you like', 'ask first']) {
    assert.ok(text.includes(part), `${part} is not in\n${text}`);
  }
  assert.equal(text.match(/do as you like/g).length, 1);
});

test('what has no licence is not given away', t => {
  const dir = directory(t, { 'a/package.json': '{"name":"a","version":"1.0.0"}', 'a/index.js': '' });
  assert.throws(() => notices(npmParts(dir)), /^Error: npm a 1\.0\.0 has no licence$/);
});
