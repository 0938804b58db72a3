// An upgrade of upgradable-v1 that cannot start: it forgets the durable kind
// its predecessor has defined, which liveslots refuses.
import { Far } from '@endo/far';

export const buildRootObject = () => Far('root', { version: () => 'bad' });
