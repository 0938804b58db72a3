// A vat whose deliveries have a syscall at every place where its worker could die.
import { Far } from '@endo/far';

export const buildRootObject = ({ D }, _vatParameters, baggage) => {
  if (!baggage.has('total')) {
    baggage.init('total', 0);
  }
  const heap = [];
  // Several syscalls, memory that the machine has not got yet, and a last word
  // after the last syscall.
  const add = n => {
    console.log('begins');
    for (let i = 0; i < n; i += 1) {
      baggage.set('total', baggage.get('total') + 1);
      heap.push(i);
    }
    Array(1_200_000).fill(n);
    JSON.parse(`[${'{},'.repeat(20_000)}0]`);
    console.log('ends');
    return `${baggage.get('total')} ${heap.length}`;
  };
  return Far('victim', {
    add,
    ask: (device, n) => {
      const answer = D(device).ask(n);
      return `${answer} ${add(n)}`;
    },
  });
};
