/// What makes a timeline's page look and move; no part of it comes from a run.
enum TimelinePage {
    static let style = """

        :root { color-scheme: light dark; --ink: #1e293b; --paper: #ffffff; --soft: #f1f5f9; --line: #d5dde7;
          --dim: #64748b; --leader: #1d4ed8; --follower: #cbd5e1; --candidate: #f59e0b; --pre: #fde68a;
          --learner: #99f6e4; --recovering: #d8b4fe; --fault: #dc2626; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e2e8f0; --paper: #0f172a; --soft: #1e293b;
          --line: #334155; --dim: #94a3b8; --leader: #3b82f6; --follower: #475569; --candidate: #b45309;
          --pre: #854d0e; --learner: #0f766e; --recovering: #7e22ce; --fault: #ef4444; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; padding: 1rem 1.5rem 4rem; max-width: 120rem; background: var(--paper);
          color: var(--ink); font: 14px/1.45 system-ui, sans-serif; }
        h1 { font-size: 1.35rem; margin: 0 0 .5rem; } h2 { font-size: 1.1rem; }
        section { margin-top: 1.5rem; }
        code, pre, table, .track, .lane b { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
        code, pre { font-size: .8125rem; }
        .verdict { padding: .5rem .75rem; border-left: .3rem solid; border-radius: .2rem; background: var(--soft); }
        .violated { border-color: var(--fault); } .held { border-color: #16a34a; }
        a { color: inherit; }
        .facts span { margin-right: 1.5rem; color: var(--dim); } .facts code { color: var(--ink); }
        .options { columns: 16rem; padding-left: 1rem; font: 12px ui-monospace, monospace; }
        .bar { display: flex; flex-wrap: wrap; gap: .4rem 1rem; align-items: center; margin-bottom: .5rem; }
        .legend { display: flex; flex-wrap: wrap; gap: .3rem; }
        .legend i { position: static; width: auto; padding: 0 .5rem; border-radius: .2rem; font-style: normal;
          font-size: 12px; line-height: 1.4rem; height: 1.4rem; opacity: 1; }
        .legend .fault { color: #fff; }
        .scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .3rem; }
        #lanes { position: relative; width: calc(100% * var(--zoom, 1)); min-width: 100%; }
        .lane { display: flex; border-bottom: 1px solid var(--line); }
        .lane b { position: sticky; left: 0; z-index: 3; width: 4rem; flex: none; padding: .45rem .6rem;
          background: var(--soft); border-right: 1px solid var(--line); }
        .track { position: relative; flex: 1; height: 2.4rem; margin-right: 1rem; font-size: 11px; }
        .part { position: absolute; top: .35rem; height: 1.3rem; overflow: hidden; white-space: nowrap;
          padding-left: 2px; border-radius: 2px; font-style: normal; line-height: 1.3rem; }
        .track .part:hover, .track .fault:hover { outline: 2px solid var(--ink); z-index: 2; }
        .p-leader { background: var(--leader); color: #fff; } .p-follower { background: var(--follower); }
        .p-candidate { background: var(--candidate); } .p-preCandidate { background: var(--pre); }
        .p-learner { background: var(--learner); } .p-recovering { background: var(--recovering); }
        .p-down { background: repeating-linear-gradient(45deg, transparent 0 4px, var(--line) 4px 6px);
          color: var(--dim); }
        .fault { position: absolute; bottom: .2rem; height: .4rem; min-width: 3px; background: var(--fault);
          border-radius: 2px; opacity: .8; }
        .mark { position: absolute; top: .15rem; width: 3px; margin-left: -1px; height: 1.7rem; cursor: pointer; }
        .mark::after { content: ""; position: absolute; left: 1px; top: 0; bottom: 0; width: 1px;
          background: currentColor; }
        .axis .track { height: 1.6rem; } .axis { border: 0; }
        .axis span { position: absolute; padding-left: 3px; border-left: 1px solid var(--line); color: var(--dim); }
        .axis span:last-child { transform: translateX(-100%); border: 0; }
        #cursor { position: absolute; top: 0; bottom: 0; width: 1px; background: var(--fault); display: none; }
        .k-fault, .k-check { color: var(--fault); } .k-life { color: #9333ea; } .k-disk { color: #b45309; }
        .k-network, .k-client { color: var(--dim); }
        @media (prefers-color-scheme: dark) { .k-life { color: #c084fc; } .k-disk { color: #fbbf24; } }
        table { border-collapse: collapse; width: 100%; font-size: 12px; }
        th { position: sticky; top: 0; background: var(--soft); text-align: left; z-index: 1; }
        th, td { padding: .1rem .5rem; white-space: nowrap; }
        td { border-bottom: 1px solid var(--line); }
        td:nth-child(-n+2) { text-align: right; color: var(--dim); }
        td:last-child, th:last-child { width: 100%; white-space: pre-wrap; overflow-wrap: anywhere; }
        td[title] { color: var(--ink); opacity: .45; } td.own { opacity: 1; }
        td.p-leader { color: #fff; } td.p-down { color: var(--dim); }
        tr:hover td, tr.chosen td { box-shadow: inset 0 0 0 99px rgba(148, 163, 184, .22); }
        tbody tr { cursor: pointer; }
        input[type=search] { width: 18rem; padding: .25rem .5rem; font: inherit; }
        pre { padding: .75rem 1rem; background: var(--soft); border-left: .3rem solid var(--line);
          white-space: pre-wrap; overflow-wrap: anywhere; }

        """

    static let script = """

        "use strict";
        const find = (id) => document.getElementById(id);
        const lines = Array.from(find("lines").rows);
        const lanes = find("lanes"), scroll = lanes.parentElement, cursor = find("cursor");

        find("zoom").addEventListener("input", (event) => {
          const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / lanes.clientWidth;
          lanes.style.setProperty("--zoom", Math.pow(1.07, event.target.value));
          scroll.scrollLeft = middle * lanes.clientWidth - scroll.clientWidth / 2;
        });

        function choose(line, fromLane) {
          for (const other of document.querySelectorAll("tr.chosen")) other.classList.remove("chosen");
          line.classList.add("chosen");
          const track = lanes.querySelector(".track");
          cursor.style.left = (track.offsetLeft + track.clientWidth * line.dataset.at / 100) + "px";
          cursor.style.display = "block";
          if (fromLane) line.scrollIntoView({ block: "center" });
        }

        find("lines").addEventListener("click", (event) => {
          const line = event.target.closest("tr");
          if (line) choose(line, false);
        });

        lanes.addEventListener("click", (event) => {
          const mark = event.target.closest(".mark");
          const track = event.target.closest(".track");
          if (!track) return;
          const box = track.getBoundingClientRect();
          const at = 100 * (event.clientX - box.left) / box.width;
          const line = mark
            ? lines.find((line) => line.dataset.event === mark.dataset.event)
            : lines.find((line) => line.dataset.at - at >= 0);
          if (line) { line.hidden = false; choose(line, true); }
        });

        function filter() {
          const boxes = Array.from(document.querySelectorAll("#filters input[type=checkbox]"));
          const hidden = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
          const words = find("search").value.toLowerCase().split(" ").filter((word) => word !== "");
          let shown = 0;
          for (const line of lines) {
            const cells = line.cells.length;
            const text = (line.cells[cells - 2].textContent + " " + line.cells[cells - 1].textContent).toLowerCase();
            line.hidden = hidden.has(line.classList[0]) || words.some((word) => !text.includes(word));
            if (!line.hidden) shown += 1;
          }
          find("shown").textContent = shown + " of " + lines.length + " lines";
        }
        find("filters").addEventListener("input", filter);
        filter();

        """
}
