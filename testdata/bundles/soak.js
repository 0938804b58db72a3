// A vat of the soak: it keeps counts and friends, passes messages on along paths
// of friends, and keeps promises that it resolves when it is told to.
import { E, Far } from '@endo/far';

// Liveslots gives these to every vat.
const { VatData } = globalThis;

export const buildRootObject = (vatPowers, vatParameters, baggage) => {
  const provide = (key, make) => {
    if (!baggage.has(key)) {
      baggage.init(key, make());
    }
    return baggage.get(key);
  };
  const friends = provide('friends', () =>
    VatData.makeScalarBigMapStore('friends', { durable: true }),
  );
  provide('count', () => 0);
  const waiting = new Map(); // key -> resolve
  const held = [];

  const count = () => {
    baggage.set('count', baggage.get('count') + 1);
    return baggage.get('count');
  };

  return Far('root', {
    count,
    version: () => vatParameters?.version ?? 1,
    meet: (name, friend) => {
      if (friends.has(name)) {
        friends.set(name, friend);
      } else {
        friends.init(name, friend);
      }
    },
    part: name => friends.has(name) && friends.delete(name),
    // Goes from friend to friend; whoever is not known ends the journey.
    relay: (path, text) => {
      count();
      const [next, ...rest] = path;
      if (next === undefined || !friends.has(next)) {
        return text;
      }
      return E(friends.get(next)).relay(rest, `${text}.`);
    },
    // A promise between two vats: one waits for what another resolves.
    wait: key => new Promise(resolve => waiting.set(key, resolve)),
    settle: (key, value) => waiting.has(key) && waiting.get(key)(value),
    await: (friend, key) =>
      friends.has(friend) &&
      E(friends.get(friend))
        .wait(key)
        .then(count, count),
    make: n => Array.from({ length: n }, (_, i) => Far(`thing ${i}`, { get: () => i })),
    take: async (friend, n) => {
      if (friends.has(friend)) {
        const things = await E(friends.get(friend)).make(n);
        await Promise.all(things.map(thing => E(thing).get()));
      }
    },
    work: rounds => {
      let sum = 0;
      for (let i = 0; i < rounds; i += 1) {
        sum += i;
      }
      return sum;
    },
    grow: n => {
      held.push(Array.from({ length: n }, (_, i) => `item ${i}`));
      return held.length;
    },
    fail: () => {
      throw Error('failed as asked');
    },
    suspend: reason => vatPowers.exitVatWithFailure(harden({ suspend: reason })),
    exit: completion => vatPowers.exitVat(completion),
  });
};
