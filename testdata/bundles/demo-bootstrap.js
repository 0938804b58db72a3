// Bootstrap of the demo: introduces the others to each other and lets them trade.
import { E, Far } from '@endo/far';

const rounds = 4;

export const buildRootObject = vatPowers => {
  const log = text => {
    console.log(text);
    vatPowers.testLog(text);
  };
  return Far('bootstrap', {
    bootstrap: async vats => {
      const { alice, bob, ledger, ticker, quiet } = vats;
      await E(quiet).greet('bootstrap');
      // Pipelined: the purses are promises while the messages travel.
      const alicesPurse = E(ledger).openPurse('alice', 100);
      const bobsPurse = E(ledger).openPurse('bob', 10);
      await Promise.all([E(alice).setPurse(alicesPurse), E(bob).setPurse(bobsPurse)]);
      await E(ticker).addListener(bob);
      for (let round = 1; round <= rounds; round += 1) {
        const price = await E(ticker).tick();
        const paid = await E(alice).buyFrom(bob, price);
        log(`round ${round}: alice paid bob ${paid}`);
      }
      const [a, b] = await Promise.all([E(alicesPurse).balance(), E(bobsPurse).balance()]);
      log(`alice has ${a}, bob has ${b}`);
      return `done after ${rounds} rounds: ${a} + ${b} = ${a + b}`;
    },
  });
};
