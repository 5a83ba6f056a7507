"""What the terminal shows: state and size become lines of styled text."""

from __future__ import annotations

import textwrap

from kstats.arch import categories
from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, Category
from kstats.escape import printable_note
from kstats.model import Code
from kstats.top import cpus, tables
from kstats.top.frame import NO_CODE, Frame, dominant, reason
from kstats.top.rows import Row, clock
from kstats.top.state import Key, Overlay, Screen, State
from kstats.top.styled import BOLD, DIM, PLAIN, Line, Size, Span, Style, fit, line, line_width
from kstats.units import figure
from kstats.views import losses
from kstats.views.exits import names_of

SMALLEST = Size(40, 10)

_HEAD, _FOOT = 3, 1
_RATE = 8

_HINTS = "?:help  Enter:open  Esc:back  e:explain  /:filter  <>:sort  Space:{}  q:quit"

_NO_EXITS = ("no exits in this sample", "exits appear here as soon as a VM runs")

_NOTHING = {
    Screen.CPUS: _NO_EXITS,
    Screen.VMS: (
        "no VM runs on this host",
        "kstats doctor checks this host; kstats demo shows a recording of another one",
    ),
    Screen.VCPUS: _NO_EXITS,
    Screen.REASONS: _NO_EXITS,
    Screen.SLOW: ("no slow exits", "L measures latencies and lists exits that take long"),
}
"""What each screen shows instead of rows, live: what there is not, and what to do."""

_NOTHING_RECORDED = {
    Screen.VMS: ("no VM was recorded", "kstats record -o FILE records VMs and vCPUs"),
    Screen.VCPUS: ("no vCPU was recorded", "kstats record -o FILE records VMs and vCPUs"),
    Screen.SLOW: (
        "no slow exits up to this sample",
        "kstats record --slower-than TIME -o FILE records them",
    ),
}


def screen(state: State, size: Size) -> list[Line]:
    """Return the lines of a terminal of this size, each as wide as it."""
    if size.columns < SMALLEST.columns or size.rows < SMALLEST.rows:
        text = f"terminal too small: {SMALLEST.columns} x {SMALLEST.rows} or more"
        return [fit(line(text), size.columns), *_blank(size.columns, size.rows - 1)][: size.rows]
    inner = body_size(size)
    lines = [*_head(state, size.columns), *_body(state, inner)]
    lines += _blank(size.columns, size.rows - _FOOT - len(lines))
    return [*lines, _foot(state, size.columns)]


def body_size(size: Size) -> Size:
    """Return the size of what is between the status and the last line."""
    return Size(size.columns, size.rows - _HEAD - _FOOT)


def position(state: State, size: Size) -> tuple[list[Key], int, int]:
    """Return the keys of all rows, the index of the selected one, and the rows of a line."""
    keys: list[Key]
    across = 1
    if state.screen is Screen.CPUS:
        inner = body_size(size)
        made = cpus.layout(state, *inner)
        keys, across = [cpu.key for cpu in made.cpus], made.across
    else:
        keys = [row.key for row in tables.sorted_rows(state)]
    return keys, _at(state, keys), across


def selected_cpu(state: State, size: Size) -> int | None:
    """Return the selected CPU."""
    made = cpus.layout(state, *body_size(size)).cpus
    chosen = [cpu.number for cpu in made if cpu.key == state.selected]
    return next(iter([*chosen, *(cpu.number for cpu in made)]), None)


def selected_row(state: State) -> Row | None:
    """Return the selected row of a table."""
    shown = tables.sorted_rows(state)
    return next((row for row in shown if row.key == state.selected), next(iter(shown), None))


def _blank(columns: int, rows: int) -> list[Line]:
    return [fit((), columns)] * max(rows, 0)


def _head(state: State, columns: int) -> list[Line]:
    status = state.status
    frame = state.frame
    where = " · ".join(filter(None, (state.look.shown(status.source, 40), status.isa)))
    when = f"{clock(frame.sample.time)} UTC" if frame else ""
    rate = f"{figure(frame.total / frame.elapsed, _RATE)} exits/s" if frame else ""
    left = line(Span("kstats top", BOLD), f"  {state.look.glyphs(where)}  ", Span(rate, BOLD))
    first = _ends(left, line(when), columns)
    return [first, fit(_status(state), columns), fit(_tabs(state), columns)]


def _ends(left: Line, right: Line, columns: int) -> Line:
    """Return a line with a part at each end."""
    room = columns - line_width(right)
    return (*fit(left, max(room, 0)), *fit(right, columns - max(room, 0)))


def _status(state: State) -> Line:
    """Return interval, source, losses, whether it records or plays, and the overhead."""
    status = state.status
    dropped = sum(state.dropped.values())
    parts = [Span(f"every {status.interval:g} s"), Span("live" if status.live else "recorded")]
    if state.paused:
        parts.append(Span("PAUSED", Style(reverse=True)))
    parts.append(Span(f"dropped {dropped}", BOLD if dropped else PLAIN))
    parts += _recording(state) if status.live else _playing(state)
    if status.loaded:
        parts.append(Span(f"with {', '.join(sorted(status.loaded))}"))
    if state.mark:
        parts.append(Span(f"mark {clock(state.mark.sample.time)}"))
    if status.live:
        parts.append(Span(f"overhead {status.overhead or '-'}"))
    return tuple(span for part in parts for span in (part, Span("  ")))


def _recording(state: State) -> list[Span]:
    name = state.look.shown(state.status.recording, 24)
    return [Span(f"recording {name}", BOLD)] if name else [Span("not recording")]


def _playing(state: State) -> list[Span]:
    if state.status.at_end:
        speed = "at the end"
    else:
        speed = f"playing x{state.speed}" if state.speed else "stopped"
    return [Span(speed, BOLD), Span(state.look.shown(state.status.position))]


def _tabs(state: State) -> Line:
    spans: list[Span] = []
    for one in Screen:
        style = Style(bold=True, reverse=True) if one is state.screen else PLAIN
        spans += (Span(f"{one.value} {one.title}", style), Span("  "))
    crumbs = _crumbs(state)
    if crumbs:
        spans.append(Span(state.look.glyphs(f"host ▸ {' ▸ '.join(crumbs)}"), BOLD))
    if state.filter:
        spans.append(Span(f"  /{state.look.shown(state.filter, 20)}", DIM))
    return tuple(spans)


def _crumbs(state: State) -> list[str]:
    scope, frame = state.scope, state.frame
    crumbs = [] if scope.cpu is None else [f"cpu {scope.cpu}"]
    thread = frame.sample.threads.get(scope.thread) if frame and scope.thread else None
    vm = scope.vm or (thread.vm if thread else None)
    if vm:
        known = frame.sample.threads.values() if frame else ()
        names = names_of([vm, *(one.vm for one in known)])
        crumbs.append(state.look.shown(names[vm]))
    if scope.thread is not None:
        number = thread.vcpu if thread else None
        tid = scope.thread & 0xFFFF_FFFF
        crumbs.append(f"thread {tid}" if number is None else f"vCPU {number}")
    if scope.code is not None:
        crumbs.append(state.look.shown(reason(scope.code).name))
    return crumbs


def _body(state: State, size: Size) -> list[Line]:
    if state.overlay:
        return _scrolled(state, size)
    if state.frame is None:
        return _centred(state.status.problem or ("waiting for the first sample",), state, size)
    problem = _notes(state, state.frame)
    room = Size(size.columns, size.rows - len(problem))
    return [
        *(fit(line(Span(text, BOLD)), size.columns) for text in problem),
        *_of_screen(state, state.frame, room),
    ]


def _notes(state: State, frame: Frame) -> list[str]:
    """Return remarks and losses of the sample, two lines at most."""
    lost = (*losses.sentences(state.dropped), *losses.by_vm(frame.sample))
    texts = (*frame.sample.notes, *lost)
    return [state.look.glyphs(f"# {printable_note(text)}") for text in texts[:2]]


def _of_screen(state: State, frame: Frame, size: Size) -> list[Line]:
    lines = _cpus(state, frame, size) if state.screen is Screen.CPUS else _table(state, size)
    if lines:
        return lines
    what, fix = _nothing(state)
    if state.filter:
        what, fix = f"nothing matches /{state.filter}", "press c to show everything"
    return _centred((what, fix), state, size)


def _cpus(state: State, frame: Frame, size: Size) -> list[Line]:
    made = cpus.layout(state, *size)
    keys = [cpu.key for cpu in made.cpus]
    return cpus.body(state, frame, made, size, _at(state, keys)) if keys else []


def _table(state: State, size: Size) -> list[Line]:
    shown = tables.sorted_rows(state)
    if not shown:
        return []
    at, page = _at(state, [row.key for row in shown]), size.rows - 1
    first = at // page * page
    return tables.table(state, at - first, shown[first : first + page], size.columns)


def _at(state: State, keys: list[Key]) -> int:
    """Return the index of the selected row: the first, if the selected one is gone."""
    return keys.index(state.selected) if state.selected in keys else 0


def _nothing(state: State) -> tuple[str, str]:
    if not state.status.live:
        return _NOTHING_RECORDED.get(state.screen, ("no exits in this sample", "t steps forward"))
    return _NOTHING[state.screen]


def _centred(texts: tuple[str, ...], state: State, size: Size) -> list[Line]:
    wrapped = [
        part
        for text in texts
        for part in textwrap.wrap(state.look.shown(text, 300), max(size.columns - 4, 1))
    ]
    above = max((size.rows - len(wrapped)) // 2, 0)
    lines = [
        fit(line(" " * max((size.columns - len(text)) // 2, 0), text), size.columns)
        for text in wrapped
    ]
    return [*_blank(size.columns, above), *lines][: size.rows]


def _foot(state: State, columns: int) -> Line:
    # The last cell stays empty: a terminal scrolls when it is written.
    prompt = state.prompt
    if prompt:
        text = f"{prompt.about}{prompt.ask.value}{prompt.text}"
        spans = line(Span(state.look.shown(text, 400), BOLD), Span(" ", Style(reverse=True)))
        over = line_width(spans) - (columns - 1)
        if over > 0:  # the end is what is being typed
            spans = line(Span(state.look.shown(text, 400)[over:], BOLD), spans[1])
    elif state.message:
        spans = line(Span(state.look.shown(state.message, 400), BOLD))
    else:
        spans = line(Span(_HINTS.format("pause" if state.status.live else "play"), DIM))
    return (*fit(spans, columns - 1), Span(" "))


def _scrolled(state: State, size: Size) -> list[Line]:
    texts = overlay(state, size.columns)
    first = max(min(state.scroll, len(texts) - size.rows), 0)
    return [fit(text, size.columns) for text in texts[first : first + size.rows]]


def overlay(state: State, columns: int) -> list[Line]:
    """Return all lines of the text in front."""
    if state.overlay is Overlay.EXPLAIN:
        return _explained(state, columns)
    if state.overlay is Overlay.WHY:
        return [line(state.look.glyphs(text)) for text in state.why]
    return _helped(state)


def _helped(state: State) -> list[Line]:
    lines: list[Line] = []
    group = ""
    for heading, names, text in state.help:
        if heading != group:
            group = heading
            lines.append(line(Span(group, BOLD)))
        lines.append(line(Span(f"  {names:<18} ", BOLD), state.look.glyphs(text)))
    return lines


def _explained(state: State, columns: int) -> list[Line]:
    code, category = explained(state)
    if code is None or code == NO_CODE:
        summary = categories.MEANINGS[category or Category.OTHER]
        head = str(category or Category.OTHER)
        paragraphs = [("", summary.summary), *(("hides", text) for text in summary.hides)]
        return [line(Span(head, Style(category, bold=True))), *_wrapped(paragraphs, columns)]
    found = reason(code)
    number, qualifier = code[1] & NUMBER_MASK, code[1] >> NUMBER_BITS
    qualified = f", qualifier {qualifier}" if qualifier else ""
    title = f"  {code[0]}:{number} ({number:#x}{qualified}), category {found.category}"
    paragraphs = [("", found.meaning or "not in the tables: reserved, or newer than kstats")]
    paragraphs += [("cause", text) for text in found.advice.causes]
    paragraphs += [("remedy", text) for text in found.advice.remedies]
    paragraphs += [("see", found.sources)] if found.sources else []
    head_line = line(Span(state.look.shown(found.name), Style(found.category, bold=True)))
    return [(*head_line, Span(title)), *_wrapped(paragraphs, columns)]


def _wrapped(paragraphs: list[tuple[str, str]], columns: int) -> list[Line]:
    lines: list[Line] = []
    for head, text in paragraphs:
        parts = textwrap.wrap(text, max(min(columns, 100) - 10, 10))
        for number, part in enumerate(parts):
            start = f"{head:>7}  " if not number else " " * 9
            lines.append(line(Span(start, DIM), part))
    return lines


def explained(state: State) -> tuple[Code | None, Category | None]:
    """Return the code, or else the category, that the selected row is about."""
    if state.screen is Screen.CPUS or not state.frame:
        return state.scope.code or (_most(state.frame) if state.frame else None), None
    row = selected_row(state)
    if row is None:
        return None, None
    code = row.code if row.code is not None else dominant(state.frame.by_code(row.threads))
    return code, row.category


def _most(frame: Frame) -> Code | None:
    return max(frame.codes, key=lambda code: frame.codes[code].count, default=None)
