"use strict";
(() => {
  const tip = document.getElementById("tip");
  const show = (event, text) => {
    tip.textContent = text;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = Math.max(4, event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 18) + "px";
  };
  const hide = () => { tip.hidden = true; };
  const short = (value) => {
    if (typeof value !== "number") return value;
    const size = Math.abs(value);
    return Number.isInteger(value) && size < 1e5 ? String(value) : String(Number(value.toPrecision(4)));
  };

  const chart = (figure) => {
    const plot = figure.querySelector(".plot");
    const frame = figure.querySelector(".frame");
    const [x0, x1, y0, y1] = figure.dataset.range.split(" ").map(Number);
    const log = figure.dataset.log === "1";
    const curves = [...figure.querySelectorAll(".curve")].map((path) => ({ name: path.dataset.name, points: JSON.parse(path.dataset.points) }));
    const whole = [0, 0, 1000, 1000];
    let view = whole;
    const draw = (tag, names) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(names)) node.setAttribute(name, value);
      plot.append(node);
      return node;
    };
    const selection = draw("rect", { class: "selection", y: 0, height: 1000, width: 0 });
    const near = draw("path", { class: "near", d: "" });
    const set = (next) => {
      view = next;
      plot.setAttribute("viewBox", view.join(" "));
      figure.dataset.zoomed = view === whole ? "0" : "1";
      [...frame.querySelectorAll(".tx")].forEach((text, i) => {
        text.textContent = short(x0 + ((x1 - x0) * (view[0] + (view[2] * i) / 4)) / 1000);
      });
      [...frame.querySelectorAll(".ty")].forEach((text, i) => {
        const level = y1 - ((y1 - y0) * (view[1] + (view[3] * i) / 4)) / 1000;
        text.textContent = short(log ? 10 ** level : level);
      });
    };
    const at = (event) => {
      const box = plot.getBoundingClientRect();
      const inside = (value, low, size) => Math.min(Math.max((value - low) / size, 0), 1);
      return [view[0] + inside(event.clientX, box.left, box.width) * view[2], view[1] + inside(event.clientY, box.top, box.height) * view[3]];
    };
    const zoom = (from, to) => {
      const seen = curves.flatMap((curve) => curve.points.filter((p) => p[0] >= from && p[0] <= to && typeof p[3] === "number").map((p) => p[1]));
      if (!seen.length) return;
      const low = Math.min(...seen), high = Math.max(...seen), room = Math.max((high - low) * 0.08, 4);
      set([from, low - room, to - from, high - low + 2 * room]);
    };
    let start = null;
    plot.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      start = at(event)[0];
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointermove", (event) => {
      const [x, y] = at(event);
      if (start !== null) {
        selection.setAttribute("x", Math.min(start, x));
        selection.setAttribute("width", Math.abs(x - start));
      }
      let best = null;
      for (const curve of curves) {
        for (const point of curve.points) {
          const far = Math.abs(point[0] - x) / view[2] + (0.02 * Math.abs(point[1] - y)) / view[3];
          if (best === null || far < best.far) best = { far, point, name: curve.name };
        }
      }
      if (best === null) return;
      near.setAttribute("d", `M${best.point[0]} ${best.point[1]}h0`);
      show(event, `${best.name} ${short(best.point[3])}\n${figure.dataset.axis} ${short(best.point[2])}` + (figure.dataset.axis === "line" ? "" : `, line ${best.point[4]}`));
    });
    plot.addEventListener("pointerup", (event) => {
      const end = at(event)[0];
      if (start !== null && Math.abs(end - start) > view[2] * 0.01) zoom(Math.min(start, end), Math.max(start, end));
      start = null;
      selection.setAttribute("width", 0);
    });
    plot.addEventListener("pointerleave", () => { near.setAttribute("d", ""); hide(); });
    plot.addEventListener("dblclick", () => set(whole));
  };

  const copy = async (button) => {
    const text = button.parentElement.querySelector("pre").textContent.trimEnd();
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1200);
  };

  document.querySelectorAll("figure.chart").forEach(chart);
  document.querySelectorAll(".copy").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  });
  document.querySelectorAll("[data-tip]").forEach((dot) => {
    dot.querySelector("title")?.remove();
    dot.addEventListener("pointermove", (event) => show(event, dot.dataset.tip));
    dot.addEventListener("pointerleave", hide);
  });
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
})();
