"use strict";
/* Draws the charts and the table from the page's JSON blocks. Every text of the data goes into the
   DOM as text (textContent, text nodes), never as markup. */
(() => {
  const byId = (id) => document.getElementById(id);
  const block = (id) => {
    const element = byId(id);
    return element ? JSON.parse(element.textContent) : null;
  };
  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  /* ---- theme: as the system, light or dark; a file may have no storage ---- */
  const THEMES = ["system", "light", "dark"];
  const remembered = () => {
    try { return localStorage.getItem("varlm-theme"); } catch { return null; }
  };
  const setTheme = (theme) => {
    if (theme === "system") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", theme);
    byId("theme").textContent = "Theme: " + theme;
    byId("theme").dataset.now = theme;
    try { localStorage.setItem("varlm-theme", theme); } catch { /* not remembered, then */ }
  };
  setTheme(THEMES.includes(remembered()) ? remembered() : "system");
  byId("theme").addEventListener("click", () => {
    setTheme(THEMES[(THEMES.indexOf(byId("theme").dataset.now) + 1) % THEMES.length]);
  });

  /* ---- tooltips of the charts ---- */
  const tooltip = byId("tooltip");
  const showTooltip = (_, event, __, value) => {
    if (value === null || value === undefined || value === "") {
      tooltip.hidden = true;
      return;
    }
    tooltip.replaceChildren();
    const pairs = typeof value === "object" ? Object.entries(value) : [["", String(value)]];
    for (const [name, text] of pairs) {
      const line = make("div");
      line.append(make("b", name), document.createTextNode(String(text)));
      tooltip.append(line);
    }
    tooltip.hidden = false;
    const box = tooltip.getBoundingClientRect();
    const right = event.clientX + 14 + box.width > innerWidth;
    const below = event.clientY + 14 + box.height > innerHeight;
    tooltip.style.left = Math.max(4, right ? event.clientX - 14 - box.width : event.clientX + 14) + "px";
    tooltip.style.top = Math.max(4, below ? event.clientY - 14 - box.height : event.clientY + 14) + "px";
  };
  addEventListener("scroll", () => { tooltip.hidden = true; }, { passive: true });

  /* ---- charts ---- */
  const charts = block("charts") || {};
  const views = new Map();
  const signals = {};
  const NARROW = 620;
  const fitted = (spec, width) => {
    const copy = JSON.parse(JSON.stringify(spec));
    if (width < NARROW) {
      copy.config.legend = { ...copy.config.legend, orient: "bottom", columns: 2, labelLimit: width / 2 - 62, gradientLength: width * 0.6 };
      copy.config.axisY = { ...copy.config.axisY, labelLimit: 128 };
    }
    return copy;
  };
  const applySignals = (view) => {
    for (const [name, value] of Object.entries(signals)) {
      try { view.signal(name, value); } catch { /* this chart has no such choice */ }
    }
    return view.runAsync();
  };
  /* Models whose scores have scales of their own are parts of a chart; one is shown. */
  const chosen = (element) => {
    const entry = charts[element.dataset.chart];
    if (!entry || !entry.parts) return { specification: entry };
    return entry.parts.find((part) => part.models.includes(signals.model)) || entry.parts[0];
  };
  const shown = new Map();
  const name = (element, part) => {
    if (part.title === undefined) return;
    const figure = element.closest("figure");
    figure.querySelector("h3").textContent = part.title;
    figure.querySelector("figcaption").textContent = part.caption;
  };
  const draw = async (element) => {
    const part = chosen(element);
    const spec = part.specification;
    if (shown.has(element) && shown.get(element) !== part && !spec) {
      views.get(element)?.finalize();
      views.delete(element);
      element.replaceChildren();
    }
    shown.set(element, part);
    name(element, part);
    if (!spec || typeof vegaEmbed === "undefined") return;
    if (element.clientWidth < 60) return; /* folded up, or a window on its way to a size */
    const old = views.get(element);
    if (old) old.finalize();
    // `ast` makes Vega interpret its expressions: no eval, which the page's policy forbids.
    const result = await vegaEmbed(element, fitted(spec, element.clientWidth), {
      mode: "vega-lite", actions: false, ast: true, renderer: "svg", defaultStyle: false, tooltip: showTooltip,
    });
    views.set(element, result);
    await applySignals(result.view);
    element.dataset.drawn = "true";
  };
  const drawAll = async () => {
    for (const element of document.querySelectorAll(".chart")) await draw(element);
    document.documentElement.dataset.charts = "drawn";
  };
  for (const select of document.querySelectorAll("select[data-signal]")) {
    select.addEventListener("change", () => {
      signals[select.dataset.signal] = select.value;
      for (const other of document.querySelectorAll("select[data-signal]")) {
        if (other.dataset.signal === select.dataset.signal) other.value = select.value;
      }
      for (const [element, { view }] of views) {
        if (shown.get(element) === chosen(element)) applySignals(view);
      }
      drawing = drawing.then(drawOthers);
    });
  }
  /* One after the other: two at once would draw into the same elements. */
  const drawOthers = async () => {
    for (const element of document.querySelectorAll(".chart")) {
      if (shown.has(element) && shown.get(element) !== chosen(element)) await draw(element);
    }
  };
  let drawing = drawAll();
  matchMedia(`(max-width: ${NARROW}px)`).addEventListener("change", () => { drawing = drawing.then(drawAll); });

  /* ---- the table ---- */
  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  const number = (value) => {
    if (typeof value !== "number") return "";
    if (Number.isInteger(value)) return String(value);
    const size = Math.abs(value);
    if (size >= 0.1) return value.toFixed(3);
    return size >= 0.001 ? value.toPrecision(3) : value.toExponential(2);
  };
  const asText = (value) => (value === null || value === undefined ? "" : String(value));
  /* "< -5", ">= 0.1", "= 3", "-8..-5"; a bare number: its text starts so. */
  const numberTest = (text) => {
    const wanted = text.trim().replace(/−/g, "-");
    const range = wanted.match(/^(-?[\d.eE+-]+?)\s*\.\.\s*(-?[\d.eE+-]+)$/);
    if (range) return (v) => typeof v === "number" && v >= Number(range[1]) && v <= Number(range[2]);
    const compared = wanted.match(/^(<=|>=|<|>|=)\s*(-?[\d.eE+-]+)$/);
    if (compared) {
      const limit = Number(compared[2]);
      const tests = { "<": (v) => v < limit, "<=": (v) => v <= limit, ">": (v) => v > limit, ">=": (v) => v >= limit, "=": (v) => v === limit };
      return (v) => typeof v === "number" && tests[compared[1]](v);
    }
    if (/^[<>=]+\s*-?$/.test(wanted)) return () => true; // not finished yet
    return (v) => asText(v).startsWith(wanted);
  };
  /* As varlm.tables.spreadsheet, which says why: text that no reader takes for something else. */
  const anyCase = (...words) => words.map((word) => word.replace(/./g, (c) => "[" + c + c.toUpperCase() + "]")).join("|");
  const test = (...parts) => { const wanted = new RegExp(parts.join("|"), "u"); return (text) => wanted.test(text); };
  const TYPED = [
    "^(N/A|n/a|NA|<NA>|NULL|null|None|1\\.#IND|1\\.#QNAN)$",
    "^#",
    "^\\s*(\\p{Nd}+\\.?\\p{Nd}*|\\.\\p{Nd}+)([eE][+\\-]?\\p{Nd}+)?\\s*$",
    "^\\s*0[xXbB]",
    "^\\s*(" + anyCase("inf", "infinity", "nan", "epoch", "true", "false") + ")\\s*$",
    "^\\s*\\p{Nd}+(-\\p{Nd}+-|/\\p{Nd}+/|\\s+\\p{Nd}+\\s+)\\p{Nd}",
    "^\\s*\\p{Nd}+\\.\\p{Nd}+\\.\\p{Nd}+(\\s.*)?$",
    "^\\s*\\p{Nd}+:\\p{Nd}+(:\\p{Nd}+(\\.\\p{Nd}+)?)?\\s*$",
  ];
  const TYPED_ALONE = [
    "^\\s+$",
    "^\\s*(" + anyCase("t", "f", "yes", "no") + ")\\s*$",
    "^\\s*[\\p{Nd}.]+[eE][+\\-]?\\s*$",
    "^\\s*[\\p{Nd}.eE+\\-]*i\\s*$",
  ];
  const likeFormula = test("^[=+\\-@]");
  const integer = test("^(0|[1-9][0-9]{0,14})$");
  const decimal = test("^(0|[1-9][0-9]{0,7})\\.(0|[0-9]{0,5}[1-9])$");
  const typedInText = test(...TYPED);
  const typed = test(...TYPED, ...TYPED_ALONE);
  const none = () => false;
  const BASES = ["ref", "alt", "input_ref", "input_alt"];
  /* Which texts of a column get an apostrophe, by all its values. */
  const marking = (name, values) => {
    const texts = values.filter((value) => typeof value === "string");
    let marked = typed;
    if (BASES.includes(name)) marked = none;
    else if (!texts.every(typed)) marked = typedInText;
    else if (texts.every(integer) || texts.every(decimal)) marked = none;
    return name === "chrom" ? (text) => marked(text) && !integer(text) : marked;
  };
  /* Numbers stay numbers; a missing value is an empty cell, and empty text is not. */
  const spreadsheetSafe = (value, marked) => {
    if (typeof value !== "string") return asText(value);
    if (value === "") return "\\x";
    const text = value.replace(/[\x00-\x1f\x7f"\\]|^'|'(?=\s*$)|^ (?=\s*$)/g, (c) => "\\x" + c.charCodeAt(0).toString(16).padStart(2, "0"));
    return likeFormula(text) || marked(text) ? "'" + text : text;
  };
  const save = (name, type, text) => {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  const plain = (kind) => (cell) => {
    const text = kind === "number" ? number(cell.getValue()) : asText(cell.getValue());
    const span = make("span", text);
    if (text.length > 20) span.title = text;
    return span;
  };
  const heading = (column) => () => {
    const span = make("span", column.name);
    span.title = column.meaning;
    return span;
  };
  const anchors = (names) => (cell) => {
    const box = make("span", undefined, "links");
    (cell.getValue() || []).forEach((url, i) => {
      if (!/^https?:\/\//i.test(url)) return;
      const a = make("a", names[i]);
      a.href = url;
      a.target = "_blank";
      a.rel = "noopener noreferrer";
      box.append(a);
    });
    return box;
  };

  const buildTable = async () => {
    const holder = byId("table");
    const packed = block("hits-data");
    if (!holder || packed === null || typeof Tabulator === "undefined") return;
    if (typeof DecompressionStream === "undefined") {
      byId("table-note").textContent = "This browser cannot unpack the table (no DecompressionStream). All alleles are in annotated.tsv.gz.";
      return;
    }
    const { columns, rows, browsers, links } = await unpack(packed.gzip);
    const data = rows.map((row, i) => {
      const record = { links: links[i] || [] };
      row.forEach((value, j) => { record["c" + j] = value; });
      return record;
    });
    const definitions = columns.map((column, j) => {
      const numeric = column.kind === "number";
      return {
        title: column.name, field: "c" + j, visible: column.shown,
        titleFormatter: heading(column), formatter: plain(column.kind),
        sorter: numeric ? "number" : "alphanum", sorterParams: { alignEmptyValues: "bottom" },
        hozAlign: numeric ? "right" : "left", maxWidth: 230, minWidth: 66,
        headerFilter: "input",
        headerFilterFunc: (wanted, value) => (numeric ? numberTest(String(wanted))(value) : asText(value).toLowerCase().includes(String(wanted).toLowerCase())),
      };
    });
    if (browsers.length) {
      definitions.splice(5, 0, { title: "browsers", field: "links", headerSort: false, formatter: anchors(browsers), titleFormatter: heading({ name: "browsers", meaning: "genome browsers" }) });
    }
    const table = new Tabulator(holder, {
      data, columns: definitions, layout: "fitData", nestedFieldSeparator: false, renderVertical: "basic",
      pagination: true, paginationSize: 25, paginationSizeSelector: [10, 25, 50, 100, 500], paginationCounter: "rows",
      placeholder: "No row passes the filters", columnDefaults: { headerHozAlign: "left", resizable: "header" },
    });
    await new Promise((resolve) => { table.on("tableBuilt", resolve); });
    const fields = columns.map((_, j) => "c" + j);
    let delay;
    byId("search").addEventListener("input", (event) => {
      clearTimeout(delay);
      const wanted = event.target.value.trim().toLowerCase();
      delay = setTimeout(() => {
        if (!wanted) table.clearFilter(false);
        else table.setFilter((row) => fields.some((field) => asText(row[field]).toLowerCase().includes(wanted)));
      }, 150);
    });
    const chooser = byId("columns");
    columns.forEach((column, j) => {
      const label = make("label");
      const box = make("input");
      box.type = "checkbox";
      box.checked = column.shown;
      box.autocomplete = "off";
      box.addEventListener("change", () => table[box.checked ? "showColumn" : "hideColumn"]("c" + j));
      label.title = column.meaning;
      label.append(box, document.createTextNode(column.name));
      chooser.append(label);
    });
    for (const button of document.querySelectorAll("[data-download]")) {
      button.addEventListener("click", () => {
        const tsv = button.dataset.download === "tsv";
        const separator = tsv ? "\t" : ",";
        const quote = (text) => (!tsv && text.includes(",") ? '"' + text + '"' : text); // none has a quotation mark
        const lines = table.getRows("active").map((row) => { const d = row.getData(); return fields.map((field) => d[field]); });
        const marks = columns.map((column, j) => marking(column.name, lines.map((line) => line[j])));
        const safe = lines.map((line) => line.map((value, j) => spreadsheetSafe(value, marks[j])));
        const text = [columns.map((column) => column.name), ...safe].map((line) => line.map(quote).join(separator)).join("\n") + "\n";
        save(packed.file + (tsv ? ".tsv" : ".csv"), tsv ? "text/tab-separated-values" : "text/csv", text);
      });
    }
    holder.dataset.built = "true";
  };
  buildTable();

  /* What is folded up on the screen is printed. */
  addEventListener("beforeprint", () => {
    for (const element of document.querySelectorAll("details:not(.columns)")) element.open = true;
  });
})();
