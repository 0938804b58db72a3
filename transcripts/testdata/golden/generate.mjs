// Writes the golden data of package transcripts with the real JavaScript
// system: node generate.mjs DIR-WITH-node_modules > golden.json
// DIR needs @agoric/swing-store and @agoric/swingset-vat (better-sqlite3 built).
import { createRequire } from 'module';
import path from 'path';
import { pathToFileURL } from 'url';

const root = path.resolve(process.argv[2] || '.');
const load = name =>
  import(
    pathToFileURL(
      createRequire(path.join(root, 'package.json')).resolve(name),
    ).href
  );

await load('@endo/init/debug.js').catch(() => load('ses')).catch(() => {});
globalThis.harden ||= Object.freeze;
const { initSwingStore } = await load('@agoric/swing-store');
const warehouse = await import(
  pathToFileURL(
    path.join(root, 'node_modules/@agoric/swingset-vat/src/kernel/vat-warehouse.js'),
  ).href
);

// 1. What JSON.stringify(JSON.parse(x)) gives; null where JSON.parse refuses.
const texts = [
  '{}', '[]', ' [ 1 , 2 ] ', 'null', 'true', '"x"',
  '0', '-0', '1.0', '1e3', '1E+3', '1e21', '1e20', '123456789012345680000', '1e-6', '1e-7', '1.5e-10',
  '1e308', '1e309', '-1e309', '5e-324', '1e-400', '0.1', '0.30000000000000004', '100000000000000000000',
  '9007199254740993', '999999999999999', '9999999999999999', '-1', '1.7976931348623157e308', '2.5e+100', '1e100',
  '123e-20', '4.35', '0.000001', '0.0000012345',
  '"\\u0041\\u00e9\\u20ac"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud800\\u0041"', '"\\uD83D\\uDE00"',
  '"\\ud800\\ud83d\\ude00"', '"\\u0000\\u001f\\u007f\\u0080\\u2028\\u2029\\ufeff"', '"\\/"', '"\\b\\f\\n\\r\\t\\"\\\\"', '"é€😀"',
  '{"b":1,"a":2}', '{"2":"x","1":"y","b":0,"10":"z","a":1}', '{"a":1,"b":2,"a":3}', '{"01":1,"1":2,"0":3}',
  '{"4294967294":1,"4294967295":2,"4294967296":3,"a":4,"5":5}', '{"-1":1,"1.5":2,"1":3}', '{"__proto__":1,"toJSON":2,"":3}',
  '{"\\u0061":1,"a":2}', '{"\\ud800":1,"\\ud800":2}', '{"x":{"y":[{"2":1,"1":[]}]}}',
  '', ' ', '{', '[1,]', '{"a":1,}', '01', '1.', '.5', '+1', '1e', '-', 'nul', "'x'", '"\\x"', '"\\u12"', '"\n"', '"\t"', '[1 2]', '{"a" 1}', 'NaN', '1 2', '"a',
  '["message","o+0",{"methargs":{"body":"#[\\"foo\\",[{\\"@type\\":\\"x\\"}]]","slots":[]}}]',
];
const json = texts.map(text => {
  try {
    return { text, js: JSON.stringify(JSON.parse(text)) };
  } catch (e) {
    return { text, js: null };
  }
});

// 2. Entries as the kernel writes them: d, s, r given as the texts that JSON.parse reads.
const parse = JSON.parse;
const entry = (d, sc, r) =>
  JSON.stringify({
    d: parse(d),
    sc: sc.map(([s, rr]) => ({ s: parse(s), r: parse(rr) })),
    r,
  });
const raw = [
  { d: '["startVat",{"body":"#{}","slots":[]}]', sc: [['["vatstoreGet","baggageID"]', '["ok",null]'], ['["vatstoreSet","baggageID","o+d6/1"]', '["ok",null]']], status: 'ok', computrons: 36560123 },
  { d: '["message", "o+0", {"methargs":{"body":"#[\\"g\\\\u00e9\\",[]]","slots":[]},"result":"p-60"}]', sc: [['["send","o-50",{"methargs":{"body":"x\\u2028\\/","slots":[]}}]', '["ok",null]']], status: 'ok', computrons: 0 },
  { d: '["bringOutYourDead"]', sc: [], status: 'error' },
  { d: '["notify",[["p-60",{"rejected":false,"data":{"body":"#1e21","slots":[]}}]]]', sc: [['["vatstoreGetNextKey","vom.","vom."]', '["ok", [ "vom.1", "v" ]]'], ['["exit",true,{"body":"\\ud800","slots":[1.0,-0,{"2":1,"1":2}]}]', '["ok",null]']], status: 'ok' },
];
const entries = raw.map(({ d, sc, status, computrons }) => {
  const r = { status };
  if (computrons !== undefined) r.metering = { computrons };
  return { d, sc, status, computrons, item: entry(d, sc, r) };
});
const pseudo = {
  'initialize-worker': JSON.stringify({ d: ['initialize-worker', { source: { bundleID: 'b1-abc' }, workerOptions: { type: 'xsnap', bundleIDs: ['b0-1', 'b0-2'] } }], sc: [], r: { status: 'ok' } }),
  'save-snapshot': JSON.stringify({ d: ['save-snapshot'], sc: [], r: { status: 'ok', snapshotID: 'feed' } }),
  'load-snapshot': JSON.stringify({ d: ['load-snapshot', { snapshotID: 'feed' }], sc: [], r: { status: 'ok' } }),
  'shutdown-worker': JSON.stringify({ d: ['shutdown-worker'], sc: [], r: { status: 'ok' } }),
};

// 3. Spans of the real store after a script, as its export records.
const { kernelStorage, hostStorage, internal } = initSwingStore(null);
const ts = kernelStorage.transcriptStore;
const steps = [];
const records = () => Object.fromEntries(internal.transcriptStore.getExportRecords(true));
const act = async (op, vatID, item) => {
  if (op === 'init') ts.initTranscript(vatID);
  if (op === 'add') ts.addItem(vatID, item);
  if (op === 'span') await ts.rolloverSpan(vatID);
  if (op === 'incarnation') await ts.rolloverIncarnation(vatID);
  steps.push({ op, vatID, item, records: records() });
};
for (const vatID of ['v1', 'v10', 'v2']) {
  await act('init', vatID);
  await act('add', vatID, pseudo['initialize-worker']);
  for (const e of entries) await act('add', vatID, e.item);
  if (vatID === 'v2') continue;
  await act('add', vatID, pseudo['save-snapshot']);
  await act('span', vatID);
  await act('add', vatID, pseudo['load-snapshot']);
  await act('add', vatID, entries[1].item);
  await act('add', vatID, pseudo['shutdown-worker']);
  await act('incarnation', vatID);
  await act('add', vatID, pseudo['initialize-worker']);
}
await hostStorage.commit();

// 4. djson equality of syscalls.
const pairs = [
  ['["send","o-1",{"a":1,"b":2}]', '["send","o-1",{"b":2,"a":1}]'],
  ['["send","o-1"]', '["send","o-2"]'],
  ['[1.0]', '[1]'],
  ['["\\u00e9"]', '["é"]'],
  ['[{"x":[{"q":1,"p":2}]}]', '[{"x":[{"p":2,"q":1}]}]'],
  ['["a","b"]', '["b","a"]'],
].map(([a, b]) => ({ a, b, same: warehouse.syscallsAreIdentical(parse(a), parse(b)) }));

process.stdout.write(`${JSON.stringify({ json, entries, pseudo, steps, pairs }, null, 1)}\n`);
