// A vat that prints what a terminal should not obey and a log should not believe.
import { Far } from '@endo/far';

export const buildRootObject = vatPowers =>
  Far('chatty', {
    say: (...args) => console.log(...args),
    warn: (...args) => console.warn(...args),
    paint: () => console.log('\u001b[2J\u001b[31mred\u0007 \u009b1m \u202eesrever'),
    forge: () => console.log('one line\n2026-01-01T00:00:00Z [ERROR] forged: a second line\r\nand a third'),
    log: (...args) => vatPowers.testLog(...args),
  });
