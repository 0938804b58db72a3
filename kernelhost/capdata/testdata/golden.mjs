// golden.mjs: writes golden.json, what @agoric/kmarshal and @endo/marshal make of
// many values. Run from the top of the repository after `make bundles`:
//
//   node kernelhost/capdata/testdata/golden.mjs
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../../../build/npm/package.json', import.meta.url));
const load = name => import(pathToFileURL(require.resolve(name)).href);
await load('@endo/init');
const { kser, kslot, krefOf, makeError } = await load('@agoric/kmarshal');
const { makeMarshal, makeTagged } = await load('@endo/marshal');

const legacy = makeMarshal(krefOf, kslot, { serializeBodyFormat: 'capdata', errorTagging: 'off' });
const numbers = [0, -0, 1, -1, 1.5, 1e21, 1e20, 123456789012345680000, 1e-6, 1e-7, 1.25e-9, 5e-324, 1.7976931348623157e308, 2 ** 53, 2 ** 53 - 1, 0.1, 100, 1e100, -1e-7];
const strings = ['', 'a', '!a', '!!', '"', '#x', '#undefined', '$0', '%s', '&1', "'", '(', ')', '*', '+1', ',', '-5', '.', '/', '0', '~', '\u0000\u001f\u007f\b\f\n\r\t', '<>&', '\u2028\u2029', 'é', '😀', 'a\\b"c'];

// Plain JSON values: [JSON text, capdata].
const plain = [
  ...numbers.map(n => [JSON.stringify(n), kser(n)]),
  ...['1.0', '1E2', '-0', '-0.0', '1e-07', '0.10', '123e-20'].map(text => [text, kser(JSON.parse(text))]),
  ...strings.map(s => [JSON.stringify(s), kser(s)]),
  ...[
    '[]', '{}', 'null', 'true', 'false', '[1,[2,[3]]]', '{"b":1,"a":2}', '{"10":1,"9":2,"b":3,"a":4}',
    '{"!a":1,"#error":2,"$0":"$0","-":"-"}', '{"01":1,"1":2,"4294967295":3,"4294967294":4,"-1":5}',
    '{"":1," ":2,"😀":3,"\uffff":4,"é":5}', '{"a":1,"a":2,"b":3}', '{"@qclass":"slot"}', '{"x":[{"y":[null,"$1"]}]}', ' [ 1 , 2 ] ',
  ].map(text => [text, kser(JSON.parse(text))]),
];

const alice = kslot('ko21', 'alice');
const bob = kslot('ko22', 'bob');
const promise = kslot('kp40');
const make = f => [kser(f()), legacy.toCapData(harden(f()))];
const tell = (name, f, json) => ({ name, json, encodings: make(f) });
const rich = [
  tell('undefined', () => undefined, null),
  tell('undefined inside', () => [undefined, { a: undefined }], [null, { a: null }]),
  tell('not a number', () => [NaN, Infinity, -Infinity], ['NaN', 'Infinity', '-Infinity']),
  tell('bigints', () => [0n, 5n, -5n, 123456789012345678901234567890n], ['0', '5', '-5', '123456789012345678901234567890']),
  tell('symbols', () => [Symbol.asyncIterator, Symbol.for('x'), Symbol.for('@@y')], [{ '@symbol': '@@asyncIterator' }, { '@symbol': 'x' }, { '@symbol': '@@@@y' }]),
  tell('errors', () => [Error('boo'), TypeError('!x')], [{ '@error': 'boo', name: 'Error' }, { '@error': '!x', name: 'TypeError' }]),
  tell('tagged', () => makeTagged('copySet', ['b', 5n]), { '@tag': 'copySet', payload: ['b', '5'] }),
  tell('remotables', () => [alice, bob, alice], [{ '@slot': 'ko21', iface: 'Alleged: alice' }, { '@slot': 'ko22', iface: 'Alleged: bob' }, { '@slot': 'ko21' }]),
  tell('a remotable', () => alice, { '@slot': 'ko21', iface: 'Alleged: alice' }),
  tell('a promise', () => promise, { '@slot': 'kp40' }),
  tell('a mix', () => ({ to: bob, p: promise, text: '#not special', n: -3 }), { n: -3, p: { '@slot': 'kp40' }, text: '#not special', to: { '@slot': 'ko22', iface: 'Alleged: bob' } }),
  tell('hilbert', () => ({ '@qclass': 'slot', other: 1n }), { '@qclass': 'slot', other: '1' }),
  tell('hilbert alone', () => ({ '@qclass': [1] }), { '@qclass': [1] }),
];

const special = [
  ['{"@bigint":"12"}', kser(12n)],
  ['[{"@bigint":"-12"},{"@undefined":true}]', kser([-12n, undefined])],
  ['{"z":{"@slot":"ko21","iface":"Alleged: alice"},"a":{"@slot":"ko22","iface":"Alleged: bob"},"m":{"@slot":"ko21","iface":"Alleged: alice"},"p":{"@slot":"kp40"}}', kser({ z: alice, a: bob, m: alice, p: promise })],
];

const root = name => kslot(name, 'root');
const built = {
  makeError: ['', 'boo', '!x', '#"'].map(text => [text, makeError(text)]),
  disconnection: [['vat upgraded', 1], ['#why', 12]].map(([upgradeMessage, incarnationNumber]) => [
    upgradeMessage, incarnationNumber, kser({ name: 'vatUpgraded', upgradeMessage, incarnationNumber }),
  ]),
  methargs: [['m', '[1,"$x",{"@slot":"ko22","iface":"Alleged: bob"}]', kser(['m', [1, '$x', bob]])], ['#m', '[]', kser(['#m', []])]],
  bootstrap: kser(['bootstrap', [{ bob: root('ko22'), alice: root('ko21'), 7: root('ko27'), '!v': root('ko29') }, {}]]),
};

fs.writeFileSync(new URL('golden.json', import.meta.url), `${JSON.stringify({ plain, rich, special, built }, undefined, 1)}\n`);
