// A vat in the 'getExport' bundle format that needs no bundler: it makes its
// Far root by hand, and has a method for everything a worker must survive.
_filePrefix => {
  const Far = (name, methods) => {
    const proto = Object.create(Object.prototype, {
      [Symbol.for('passStyle')]: { value: 'remotable' },
      [Symbol.toStringTag]: { value: `Alleged: ${name}` },
    });
    return harden(Object.create(proto, Object.getOwnPropertyDescriptors(methods)));
  };
  const buildRootObject = (vatPowers, _parameters, baggage) => {
    if (!baggage.has('count')) baggage.init('count', 0);
    const set = n => {
      if (baggage.has('count')) baggage.set('count', n);
      return n;
    };
    return Far('root', {
      increment: () => set(baggage.get('count') + 1),
      read: () => baggage.get('count'),
      say: text => {
        vatPowers.testLog('said', text, 7);
        console.warn('saying', text);
      },
      burst: n => {
        for (let i = 0; i < n; i += 1) set(i);
      },
      keep: (key, size) => baggage.init(key, 'x'.repeat(size)),
      fail: () => {
        throw Error('as asked');
      },
      spin: () => {
        for (;;);
      },
      recurse: () => {
        const deeper = n => 1 + deeper(n + 1);
        return deeper(0);
      },
      hours: () => new Date(0).getHours(),
      hoard: () => {
        const all = [];
        const text = `[${'{},'.repeat(100000)}0]`;
        for (;;) all.push(JSON.parse(text));
      },
      hog: () => {
        const all = [];
        for (;;) all.push(new ArrayBuffer(64 * 1024 * 1024));
      },
    });
  };
  return harden({ buildRootObject });
}
