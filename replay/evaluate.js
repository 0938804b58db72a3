// The source of a console's line is put in the place of SOURCE, as a string.
// It runs in the start compartment, as a script; what it results in is printed.
(() => {
  const report = {};
  const most = 100; // elements or properties of each object
  const deepest = 3;

  const show = (value, depth, above) => {
    switch (typeof value) {
      case 'string':
        return depth === 0 ? value : JSON.stringify(value);
      case 'bigint':
        return `${value}n`;
      case 'function':
        return `[function ${value.name || '(anonymous)'}]`;
      case 'object':
        return value === null ? 'null' : showObject(value, depth, above);
      default:
        return String(value);
    }
  };
  const showObject = (value, depth, above) => {
    if (value instanceof Error) {
      return `${value.name}: ${value.message}`;
    }
    if (above.includes(value)) {
      return '[circular]';
    }
    const isArray = Array.isArray(value);
    const tag = Object.prototype.toString.call(value).slice('[object '.length, -1);
    const name = isArray || tag === 'Object' ? '' : `${tag} `;
    if (depth >= deepest) {
      return isArray ? '[…]' : `${name}{…}`;
    }
    const inner = [...above, value];
    const keys = Reflect.ownKeys(value).filter(key => !(isArray && key === 'length'));
    const parts = keys.slice(0, most).map(key => {
      const property = Reflect.getOwnPropertyDescriptor(value, key);
      const text = 'value' in property ? show(property.value, depth + 1, inner) : '[accessor]';
      return isArray ? text : `${String(key)}: ${text}`;
    });
    if (keys.length > most) {
      parts.push(`… ${keys.length - most} more`);
    }
    return isArray ? `[${parts.join(', ')}]` : `${name}{${parts.join(', ')}}`;
  };

  const settle = (kind, value) => {
    let text;
    try {
      text = show(value, 0, []);
    } catch (problem) {
      text = `(it cannot be shown: ${problem})`;
    }
    report.result = new TextEncoder().encode(JSON.stringify([kind, text])).buffer;
  };
  try {
    const value = (0, eval)(SOURCE);
    if (value instanceof Promise) {
      value.then(
        result => settle('value', result),
        problem => settle('error', problem),
      );
    } else {
      settle('value', value);
    }
  } catch (problem) {
    settle('error', problem);
  }
  return report;
})();
