// A vat that uses as much of the engine as it can, so that two engines which
// differ anywhere differ here. Each method does n rounds and returns a sum of all
// it saw.
import { Far } from '@endo/far';
import { defineDurableKind, makeKindHandle, makeScalarBigMapStore, provide } from '@agoric/vat-data';

// A hash of a text, of both its UTF-16 units and its length.
const mix = (sum, text) => {
  let h = sum ^ text.length;
  for (let i = 0; i < text.length; i += 1) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) | 0;
  }
  return h;
};

const each = (n, f) => {
  let sum = n | 0;
  for (let i = 0; i < n; i += 1) {
    sum = mix(sum, `${f(i, sum)}`);
  }
  return sum;
};

const letters = ['a', 'ß', 'é', 'é', '漢', '😀', '\ud800', '\u0000', 'İ', 'ǆ'];

const word = i => letters[i % letters.length].repeat((i % 7) + 1) + letters[(i * 3) % letters.length];

const texts = n =>
  each(n, i => {
    const text = `${word(i)} ${word(i + 1)}-${i}`;
    return [
      text.normalize('NFC'),
      text.normalize('NFKD'),
      text.toUpperCase(),
      text.toLowerCase(),
      text.split('').reverse().join('|'),
      [...text].length,
      text.replace(/(\d+)|[^\x00-\x7f]/gu, m => `<${m}>`),
      text.match(/(?<head>\S+)\s(?<tail>.*)$/u)?.groups?.tail,
      text.localeCompare(word(i + 2)),
      text.padStart(20, 'xy').slice(-15),
      encodeURIComponent(text.replaceAll('\ud800', '')),
      JSON.stringify({ text, [text]: [i, text] }),
    ].join(';');
  });

const numbers = n =>
  each(n, i => {
    const x = (i + 1) / 7;
    const functions = ['sin', 'cos', 'tan', 'atan', 'exp', 'log', 'log1p', 'cbrt', 'sinh', 'tanh', 'fround', 'round'];
    const floats = functions.map(name => Math[name](x * 3.7));
    const big = (12345678901234567890n ** BigInt((i % 9) + 1)) / BigInt(i + 3);
    return [
      ...floats,
      Math.pow(x, 3.3),
      Math.hypot(x, i),
      Math.atan2(i, x),
      x.toFixed(i % 10),
      x.toPrecision((i % 15) + 1),
      x.toExponential(),
      (i * 12345.678).toString(2 + (i % 35)),
      big,
      big.toString(16),
      BigInt.asIntN(64, big),
      BigInt.asUintN(33, -big),
      big << 77n,
      -big >> 5n,
      (i * 0x9e3779b9) >>> (i % 32),
      parseFloat(`${x}e${i % 300}`),
      Number(`0x${(i * 977).toString(16)}`),
    ].join(',');
  });

const buffers = n =>
  each(n, i => {
    const floats = new Float64Array(((i * 13) % 200) + 1).map((_, j) => Math.sqrt(j * i));
    const bytes = new Uint8Array(floats.buffer);
    const view = new DataView(new ArrayBuffer(64));
    view.setFloat32(i % 60, i / 3);
    view.setBigInt64(i % 56, -(BigInt(i) ** 3n));
    const text = new TextDecoder().decode(new TextEncoder().encode(word(i)));
    const part = floats.subarray(i % floats.length).slice().sort((a, b) => b - a);
    return [bytes.reduce((a, b) => (a * 31 + b) | 0, 7), view.getUint32(i % 60), text, part.join()].join();
  });

const collections = (state, n) =>
  each(n, i => {
    const { map, set, weak, keys } = state;
    const key = { i };
    keys.push(key);
    map.set(key, i).set(i % 50, key).set(`${i % 70}`, set.size);
    weak.set(key, { of: key });
    set.add(i % 90).add(key);
    if (keys.length > 60) {
      const old = keys.splice(0, 20);
      for (const k of old) {
        map.delete(k);
        set.delete(k);
      }
      map.delete(i % 7);
    }
    let walked = 0;
    for (const [k, v] of map) {
      walked = (walked * 17 + (typeof k === 'object' ? k.i : 3) + (typeof v === 'number' ? v : 5)) | 0;
    }
    return `${walked} ${map.size} ${set.size} ${weak.has(key)} ${[...set].length}`;
  });

// New names are new keys of the engine; some are forgotten again.
const names = (state, n) =>
  each(n, i => {
    const { bag } = state;
    const name = `name${state.next}of${i}`;
    state.next += 1;
    bag[name] = i;
    bag[Symbol(name)] = i;
    const all = Object.keys(bag);
    if (all.length > 300) {
      for (const old of all.slice(0, 100)) {
        delete bag[old];
      }
      for (const symbol of Object.getOwnPropertySymbols(bag).slice(0, 200)) {
        delete bag[symbol];
      }
    }
    return `${all.length} ${Object.entries(bag).length} ${JSON.stringify(Object.getOwnPropertyDescriptor(bag, name))}`;
  });

class Shape {
  #side;
  static made = 0;
  constructor(side) {
    this.#side = side;
    Shape.made += 1;
  }
  get area() {
    return this.#side ** 2;
  }
  *sides() {
    for (let i = 0; i < 4; i += 1) {
      yield this.#side + i;
    }
  }
  static {
    this.prototype.kind = 'shape';
  }
}

const objects = n =>
  each(n, i => {
    const shape = new Shape(i);
    const proxy = new Proxy([], { get: (target, name) => (name === 'length' ? i : Reflect.get(target, name)) });
    const { a, ...rest } = { a: 1, b: [i, ...shape.sides()], get c() { return shape.area; } };
    const tagged = ((strings, ...values) => strings.raw.join('·') + values.join())`x${i}\n${a}`;
    const list = Array.from({ length: (i % 40) + 1 }, (_, j) => ({ j, key: (j * 7919) % 101 }));
    list.sort((x, y) => x.key - y.key || y.j - x.j);
    label: for (let j = 0; j < 5; j += 1) {
      for (;;) {
        if (j === i % 5) break label;
        continue label;
      }
    }
    return [
      shape.area, shape.kind, proxy.length, tagged, rest?.b?.flat(2).join(), rest.c,
      list.map(({ j }) => j).join(''), Object.fromEntries([[`k${i}`, a]])[`k${i}`], structuredText(i),
    ].join();
  });

const structuredText = i =>
  JSON.stringify(JSON.parse(`{"a":[${i},1e${i % 20},"\\u00e9\\ud83d\\ude00"],"b":{"c":null}}`), null, i % 4);

const errors = n =>
  each(n, i => {
    const attempts = [
      () => null.x,
      () => undefined(),
      () => missing,
      () => JSON.parse(`{"a":${'['.repeat(i % 30)}`),
      () => new Array(-i - 1),
      () => 'x'.repeat(-1 - i),
      () => BigInt(i + 0.5),
      () => 1n + i,
      () => Symbol(i) + '',
      () => decodeURIComponent(`%${i % 10}`),
      () => new RegExp(`(${'('.repeat(i % 5)}`),
      () => (0, eval)(`let let = ${i}`),
      () => Object.defineProperty(Object.freeze({}), 'x', { value: i }),
      () => harden({ i }).i.deep.deeper,
      () => new Proxy({}, { ownKeys: () => [i] }) && Object.keys(new Proxy({}, { ownKeys: () => [i] })),
      () => { throw i; },
    ];
    try {
      return attempts[i % attempts.length]();
    } catch (error) {
      return error instanceof Error ? `${error.name} ${error.message}` : `${error}`;
    }
  });

const evaluated = n =>
  each(n, i => {
    const f = (0, eval)(`(a, b = ${i}) => { const c${i} = a * b; return [c${i}, ...[1, 2, ${i}]].map(x => x ?? 0); }`);
    return [f(i), f(2, 3), f.length, f.name, new Function('x', `return x + ${i}`)(1), `${f}`.length].join();
  });

const promises = async n => {
  let sum = n;
  const note = text => {
    sum = mix(sum, text);
  };
  async function* count() {
    for (let i = 0; i < n; i += 1) {
      yield i;
    }
  }
  for await (const i of count()) {
    const settled = await Promise.allSettled([
      Promise.resolve(i),
      Promise.reject(Error(`no ${i}`)),
      new Promise(r => r({ then: f => f(`thenable ${i}`) })),
      (async () => note(`async ${i}`))(),
    ]);
    note(settled.map(({ status, value, reason }) => `${status} ${value} ${reason}`).join());
    note(`${await Promise.race([Promise.any([Promise.reject(i), i]), 0])}`);
    if (i % 3 === 0) {
      Promise.reject(Error(`nobody handles ${i}`)); // no one does, on purpose
    }
  }
  return sum;
};

export const buildRootObject = (vatPowers, _vatParameters, baggage) => {
  const state = { map: new Map(), set: new Set(), weak: new WeakMap(), keys: [], bag: {}, next: 0 };
  const hoard = [];
  const things = provide(baggage, 'things', () => makeScalarBigMapStore('things', { durable: true }));
  const handle = provide(baggage, 'handle', () => makeKindHandle('thing'));
  const makeThing = defineDurableKind(handle, (name, count) => ({ name, count }), {
    bump: ({ state: own }, n) => {
      own.count += n;
      return own.count;
    },
  });

  return Far('workout', {
    texts,
    numbers,
    buffers,
    objects,
    errors,
    evaluated,
    promises,
    collections: n => collections(state, n),
    names: n => names(state, n),
    hoard: n => {
      hoard.push(Array.from({ length: n * 100 }, (_, i) => ({ i, text: `${i}`.repeat(3) })), new ArrayBuffer(n * 5000));
      return hoard.length;
    },
    release: () => {
      hoard.length = 0;
    },
    remember: n =>
      each(n, i => {
        const key = `k${i % 20}`;
        if (!things.has(key)) {
          things.init(key, makeThing(key, 0));
        }
        return things.get(key).bump(i);
      }),
    forget: () => {
      for (const key of [...things.keys()].slice(0, 5)) {
        things.delete(key);
      }
      return things.getSize();
    },
    say: (n, ...args) => {
      vatPowers.testLog('said', n, ...args);
      console.warn('saying', word(n), Error(`error ${n}`));
    },
    fail: n => {
      throw TypeError(`failed as asked ${n}`);
    },
    spin: () => {
      for (;;);
    },
    recurse: () => {
      const deeper = n => 1 + deeper(n + 1);
      return deeper(0);
    },
    overflow: () => {
      const nest = list => nest([list, list.map(x => nest([x]))]);
      return nest([0]);
    },
    hog: () => {
      const all = [];
      for (;;) all.push(new ArrayBuffer(64 * 1024 * 1024));
    },
    litter: () => {
      const all = [];
      for (;;) all.push({ all, next: [] });
    },
    lengthen: () => {
      let text = 'x';
      for (;;) text += text;
    },
  });
};
