"use strict";
(() => {
  const tip = document.getElementById("tip");
  const short = (value) => String(Number(value.toPrecision(4)));

  // Cells carry what they are sorted by; empty ones go last in both directions.
  const sort = (table, column, head) => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const [one, other] = [key(a), key(b)];
      if (!one || !other) return Number(!one) - Number(!other);
      const [x, y] = [Number(one), Number(other)];
      const order = Number.isNaN(x) || Number.isNaN(y) ? one.localeCompare(other, "en", { numeric: true }) : x - y;
      return up ? order : -order;
    });
    table.tBodies[0].append(...rows);
  };
  document.querySelectorAll("table").forEach((table) => {
    table.querySelectorAll("th button").forEach((button) => {
      const head = button.parentElement;
      button.addEventListener("click", () => sort(table, head.cellIndex, head));
    });
  });

  const chart = (svg) => {
    const plot = svg.querySelector(".plot");
    const [x0, x1, y0, y1] = svg.dataset.range.split(" ").map(Number);
    const log = svg.dataset.log === "1", rows = svg.dataset.rows === "1";
    const whole = [0, 0, 1000, 1000];
    let view = whole, start = null;
    const selection = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    selection.setAttribute("class", "selection");
    plot.append(selection);
    const valueX = (x) => { const v = x0 + ((x1 - x0) * x) / 1000; return log ? 10 ** v : v; };
    const valueY = (y) => y1 - ((y1 - y0) * y) / 1000;
    const set = (next) => {
      view = next;
      plot.setAttribute("viewBox", view.join(" "));
      svg.dataset.zoomed = view === whole ? "0" : "1";
      svg.querySelectorAll(".tx").forEach((text, i) => { text.textContent = short(valueX(view[0] + (view[2] * i) / 4)); });
      svg.querySelectorAll(".ty").forEach((text, i) => { text.textContent = short(valueY(view[1] + (view[3] * i) / 4)); });
    };
    const at = (event) => {
      const box = plot.getBoundingClientRect();
      const share = (value, low, size) => Math.min(Math.max((value - low) / size, 0), 1);
      return [view[0] + share(event.clientX, box.left, box.width) * view[2], view[1] + share(event.clientY, box.top, box.height) * view[3]];
    };
    // Rows have no scale to enlarge: only their values have one.
    const frame = (a, b) => {
      const [left, right] = [Math.min(a[0], b[0]), Math.max(a[0], b[0])];
      const [top, bottom] = rows ? [view[1], view[1] + view[3]] : [Math.min(a[1], b[1]), Math.max(a[1], b[1])];
      return [left, top, right - left, bottom - top];
    };
    plot.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      start = at(event);
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointermove", (event) => {
      const here = at(event);
      if (start) {
        frame(start, here).forEach((value, i) => selection.setAttribute(["x", "y", "width", "height"][i], value));
      }
      tip.textContent = `${svg.dataset.x} ${short(valueX(here[0]))}` + (rows ? "" : `, ${short(valueY(here[1]))}`);
      tip.hidden = false;
      tip.style.left = `${Math.min(event.clientX + 14, innerWidth - 180)}px`;
      tip.style.top = `${event.clientY + 18}px`;
    });
    plot.addEventListener("pointerup", (event) => {
      const next = start && frame(start, at(event));
      start = null;
      selection.setAttribute("width", 0);
      if (next && next[2] > view[2] * 0.01 && next[3] > view[3] * 0.01) set(next);
    });
    plot.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [x, y] = at(event), factor = event.deltaY > 0 ? 1.25 : 0.8;
      const size = Math.min(view[2] * factor, 1000), tall = rows ? view[3] : Math.min(view[3] * factor, 1000);
      if (size >= 1000) return set(whole);
      set([x - ((x - view[0]) * size) / view[2], y - ((y - view[1]) * tall) / view[3], size, tall]);
    }, { passive: false });
    plot.addEventListener("pointerleave", () => { tip.hidden = true; });
    plot.addEventListener("dblclick", () => set(whole));
    set(whole);
  };
  document.querySelectorAll("svg.chart").forEach(chart);
})();
