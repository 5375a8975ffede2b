// Parameters as Stripe takes them: a[b][0][c]=value.

export type Form = { [name: string]: string | Form };

export function readForm(text: string): Form {
  const form: Form = {};
  for (const [path, value] of new URLSearchParams(text)) {
    const names = path.split(/[[\]]+/).filter(Boolean);
    // expand[]=a&expand[]=b
    if (path.endsWith("[]")) names.push(String(Object.keys(branch(form, names)).length));
    const last = names.pop() ?? "";
    branch(form, names)[last] = value;
  }
  return form;
}

function branch(form: Form, names: string[]): Form {
  let at = form;
  for (const name of names) {
    const next = at[name];
    const below = typeof next === "object" ? next : {};
    at[name] = below;
    at = below;
  }
  return at;
}

/** The branch of that name, empty when it is not there. */
export function formAt(form: Form, ...names: string[]): Form {
  return names.reduce<Form>((at, name) => {
    const next = at[name];
    return typeof next === "object" ? next : {};
  }, form);
}

/** Leaves of one branch, as metadata has. */
export function leavesOf(form: Form): Record<string, string> {
  return Object.fromEntries(
    Object.entries(form).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : [])),
  );
}
