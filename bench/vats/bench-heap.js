// A vat that grows a heap of the wanted size.
import { Far } from '@endo/far';

export const buildRootObject = () => {
  const kept = [];
  let seed = 1;
  const random = () => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed;
  };
  return Far('heap', {
    grow: count => {
      for (let i = 0; i < count; i += 1) {
        kept.push({ id: kept.length, name: `object ${random()}`, list: [random(), random(), i], inner: { kind: 'thing' } });
      }
      return kept.length;
    },
    idle: () => 0,
  });
};
