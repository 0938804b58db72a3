// A vat of the demo that is greeted once and then left alone: it is paged out
// and stays so.
import { Far } from '@endo/far';

export const buildRootObject = () =>
  Far('quiet', {
    greet: who => {
      console.log(`quiet greets ${who} and goes back to sleep`);
    },
  });
