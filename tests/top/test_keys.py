"""Keys change the state as the help says; every key of the table is pressed here."""

from __future__ import annotations

import attrs
import pytest

from kstats.top.command import command
from kstats.top.frame import Scope
from kstats.top.keys import BINDINGS, help_texts, pressed
from kstats.top.state import Effect, Overlay, Screen, State, Status
from kstats.top.styled import Size
from kstats.why.engine import Judge
from kstats.why.evidence import Evidence
from tests.top.golden import after, recorded, state_of, texts
from tests.top.hosts import HLT, MSR_WRITE, measured_host

SIZE = Size(120, 30)
LIVE = Status("host", "Intel VMX", details=("msr", "io"), costs={"latency": "latency costs 7. "})


@pytest.fixture
def state() -> State:
    return state_of([measured_host()])


@pytest.fixture
def live(state: State) -> State:
    return attrs.evolve(state, status=LIVE)


def shown(state: State) -> str:
    return "\n".join(texts(state, SIZE))


def typed(state: State, text: str) -> State:
    """Return the state after a prompt was answered."""
    return after(state, [*text, "Enter"], SIZE)


def test_no_key_has_two_meanings() -> None:
    keys = [key for binding in BINDINGS for key in binding.keys]
    assert len(keys) == len(set(keys))


def test_every_key_works_in_every_state(live: State, state: State) -> None:
    """No key raises, whatever is shown, and what it leads to can be drawn."""
    empty = State(status=Status(problem=("no KVM",)))
    for begun in (live, state, empty):
        for screen in "12345?e":
            for binding in BINDINGS:
                for key in binding.keys:
                    assert texts(after(begun, [screen, key], SIZE), SIZE)


def test_unknown_keys_change_nothing(state: State) -> None:
    assert shown(pressed(state, "Q", SIZE)) == shown(state)


@pytest.mark.parametrize("screen", Screen)
def test_digits_choose_screens(state: State, screen: Screen) -> None:
    assert after(state, str(int(screen)), SIZE).screen is screen


def test_enter_goes_down_and_esc_back(state: State) -> None:
    vms = after(state, "2 Down", SIZE)  # sorted by exits: db, web
    vcpus = pressed(vms, "Enter", SIZE)
    assert (vcpus.screen, vcpus.scope.vm and vcpus.scope.vm.name) == (Screen.VCPUS, "web")
    reasons = pressed(vcpus, "Enter", SIZE)
    assert reasons.screen is Screen.REASONS
    assert "host ▸ web ▸ vCPU 1" in shown(reasons)
    whole = pressed(vcpus, "4", SIZE)
    reason = after(whole, "End Enter", SIZE)
    assert reason.scope.code == MSR_WRITE
    assert "write MSR_IA32_TSC_DEADLINE(0x6e0)" in shown(reason)
    assert "Guest wrote an MSR" in shown(after(reason, "End Enter", SIZE))
    back = after(reason, "Esc Esc Esc", SIZE)
    assert (back.screen, back.scope, back.selected) == (vms.screen, Scope(), vms.selected)


def test_enter_on_a_cpu_shows_its_vms(state: State) -> None:
    on_one = after(state, "1 Right Enter", SIZE)
    assert (on_one.screen, on_one.scope.cpu) == (Screen.VMS, 1)
    assert on_one.frame
    assert on_one.frame.total == 40


def test_the_selection_follows_its_row(state: State) -> None:
    chosen = after(state, "3 Down Down", SIZE)
    turned = pressed(chosen, "o", SIZE)
    assert turned.selected == chosen.selected
    assert shown(turned) != shown(chosen)
    for key, place in (("Home", 0), ("End", 3), ("PageUp", 0), ("PageDown", 3), ("Up", 0)):
        moved = pressed(after(state, "3", SIZE), key, SIZE)
        assert moved.selected
        rows = [line.split()[2] for line in texts(moved, SIZE)[5:9]]
        assert rows[place] == str(int(str(moved.selected[1])) & 0xFFFF_FFFF)


def test_sorting(state: State) -> None:
    vms = after(state, "2", SIZE)
    names = {}
    for key in ("<", ">", "F6"):
        vms = pressed(vms, key, SIZE)
        names[key] = vms.sort[Screen.VMS]
    assert names == {"<": "vCPUs", ">": "exits/s", "F6": "/vCPU·s"}
    by_name = attrs.evolve(vms, sort={Screen.VMS: "VM"})
    assert shown(by_name).index("db ") < shown(by_name).index("web ")


def test_filters(state: State) -> None:
    for key in "/", "f", "F4":
        found = typed(pressed(after(state, "4", SIZE), key, SIZE), "^msr")
        assert "MSR_WRITE" in shown(found)
        assert "HLT" not in shown(found)
        assert "HLT" in shown(pressed(found, "c", SIZE))
    broken = typed(pressed(state, "/", SIZE), "(")
    assert "invalid regular expression" in broken.message
    assert "nothing matches /zebra" in shown(typed(after(state, "2 /", SIZE), "zebra"))
    assert after(state, "/ x Esc", SIZE).filter == ""
    assert typed(after(state, "/ x Backspace", SIZE), "y").filter == "y"


def test_one_vm_by_name_and_by_process(state: State) -> None:
    for key, text in (("g", "web"), ("g", "w*"), ("p", "1000")):
        found = typed(pressed(state, key, SIZE), text)
        assert found.scope.vm
        assert found.scope.vm.name == "web"
    assert typed(pressed(state, "g", SIZE), "nobody").message == "no VM matches 'nobody'"
    assert "invalid process ID" in typed(pressed(state, "p", SIZE), "x").message
    assert typed(pressed(state, "g", SIZE), "*").screen is Screen.VMS


def test_categories_fold(state: State) -> None:
    folded = after(state, "4 x", SIZE)
    assert "▸ idle" in shown(folded)
    assert "HLT" not in shown(folded)
    assert shown(pressed(folded, "x", SIZE)) == shown(after(state, "4", SIZE))
    assert "HLT" not in shown(after(state, "4 Enter", SIZE))


def test_b_switches_between_vms_and_reasons(state: State) -> None:
    assert after(state, "b", SIZE).screen is Screen.VMS
    assert after(state, "b b", SIZE).screen is Screen.REASONS


def test_help_lists_every_key_and_scrolls(state: State) -> None:
    small = Size(80, 14)
    for key in ("?", "h", "F1"):
        helped = pressed(state, key, small)
        assert helped.overlay is Overlay.HELP
        seen = set(texts(helped, small))
        for _ in range(len(help_texts()) + 10):
            helped = pressed(helped, "Down", small)
            seen |= set(texts(helped, small))
        for binding in BINDINGS:
            names = " ".join(binding.keys)
            assert any(line.startswith(f"  {names} ") and binding.text in line for line in seen)
        assert pressed(helped, key, small).overlay is None
        assert pressed(helped, "Esc", small).overlay is None


def test_why(state: State) -> None:
    why = after(state, "w", SIZE)
    judge = Judge()
    judge.add(Evidence.of(measured_host()))
    findings = judge.report().findings
    assert f"{len(findings)} finding" in shown(why)
    assert findings[0].rule.title in shown(why)
    assert "not checked without" in shown(after(why, ["End"], SIZE))
    assert after(why, "w", SIZE).overlay is None
    assert after(why, "Esc", SIZE).overlay is None
    nothing = after(state_of([attrs.evolve(measured_host(), exits={}, slow=())]), "w", SIZE)
    assert "finding" in shown(nothing) or "nothing unusual" in shown(nothing)
    assert "no sample" in after(State(), "w", SIZE).message


def test_why_names_the_keys_that_measure_what_is_missing() -> None:
    bare = state_of([attrs.evolve(measured_host(), timed=False, vcpu_time=None)])
    text = " ".join(shown(after(attrs.evolve(bare, status=LIVE), ["w", "End"], SIZE)).split())
    assert "without vCPU times (key M)" in text
    assert "kstats record" not in text
    recorded = " ".join(shown(after(bare, ["w", "End"], SIZE)).split())
    assert ("key M" in recorded) is bare.status.live


def test_explain(state: State) -> None:
    explained = after(state, "4 Down e", SIZE)
    assert "vmx:12 (0xc), category idle" in shown(explained)
    assert "remedy" in shown(explained)
    assert after(explained, "e", SIZE).overlay is None
    assert "The guest is idle" in shown(after(state, "4 F2", SIZE))
    nothing = after(state_of([attrs.evolve(measured_host(), exits={}, slow=())]), "4 e", SIZE)
    assert "nothing to explain" in nothing.message


def test_pause_and_play(live: State, state: State) -> None:
    paused = pressed(live, "Space", SIZE)
    assert "PAUSED" in shown(paused)
    assert not pressed(paused, "Space", SIZE).paused
    playing = pressed(state, "Space", SIZE)
    assert playing.speed == 1
    for speed in (2, 5, 10, 30, 60, 60):
        playing = pressed(playing, "+", SIZE)
        assert playing.speed == speed
    assert "playing x60" in shown(playing)
    assert pressed(playing, "-", SIZE).speed == 30
    assert pressed(playing, "Space", SIZE).speed == 0


def test_a_mark_compares(state: State) -> None:
    samples = recorded("svm")
    first = pressed(state_of(samples[:1]), "m", SIZE)
    same = after(first, "4", SIZE)
    assert "vs mark" in shown(same)
    assert "x1.00" in shown(same)
    assert "vs mark" not in shown(pressed(same, "m", SIZE))
    half = attrs.evolve(measured_host(), elapsed=1.0)
    faster = attrs.evolve(state_of([half]), mark=state.frame)
    assert shown(after(faster, "4", SIZE)).count("x2.00") == 4


def test_reset(state: State) -> None:
    assert state.dropped
    reset = pressed(state, "r", SIZE)
    assert not reset.dropped
    assert not reset.trend
    assert not reset.slow


def test_idle_cpus(state: State) -> None:
    assert pressed(state, "z", SIZE).idle


def test_what_is_asked_of_the_source(live: State, state: State) -> None:
    def asked(begun: State, keys: list[str]) -> tuple[Effect | None, str]:
        found = after(begun, keys, SIZE)
        return found.effect, found.argument

    assert asked(live, ["q"]) == asked(live, ["F10"]) == (Effect.QUIT, "")
    assert asked(live, ["y"]) == (Effect.QUIT, "command")
    assert asked(live, ["R"]) == (Effect.RECORD, "")
    assert asked(live, ["L", "y"]) == (Effect.LOAD, "latency")
    assert asked(live, ["L", "n"]) == (None, "")
    assert asked(live, ["M", "y"]) == (Effect.LOAD, "time")
    assert asked(live, ["D", *"msr", "Enter"]) == (Effect.LOAD, "detail msr")
    assert asked(live, ["D", "Enter"]) == (Effect.LOAD, "detail none")
    assert asked(live, ["D", *"cr9", "Enter"]) == (None, "")
    for key in "sd":
        assert asked(live, [key, *"0.5", "Enter"]) == (Effect.DELAY, "0.5")
    assert asked(state, ["t"]) == (Effect.STEP, "1")
    assert asked(state, ["T"]) == (Effect.STEP, "-1")
    assert asked(state, ["j", *"3m ago", "Enter"]) == (Effect.JUMP, "3m ago")


def test_the_cost_is_shown_before_it_is_paid(live: State) -> None:
    assert "latency costs 7. y/n" in shown(pressed(live, "L", SIZE))


def test_keys_of_the_other_source_say_so(live: State, state: State) -> None:
    for key in "tTj+-":
        assert "kstats top --input FILE" in pressed(live, key, SIZE).message
    for key in "LDMR":
        assert "while a recording is shown" in pressed(state, key, SIZE).message


def test_commands(live: State, state: State) -> None:
    def of(begun: State, keys: str, input_: str | None = None) -> str:
        return command(after(begun, keys, SIZE), input_, "1ms")

    assert of(live, "1") == "kstats cpu 1 10"
    assert of(live, "2") == "kstats exits --by vm 1 10"
    assert of(live, "2 Enter") == "kstats exits --vm db --by vm,vcpu 1 10"
    latency = "--by category,reason,detail --latency"
    assert of(live, "2 Enter Enter") == f"kstats exits --vm db --vcpu 1 --detail msr {latency} 1 10"
    assert of(live, "1 Enter") == "kstats exits --by cpu,vm 1 10"
    assert of(live, "5") == "kstats exits --slower-than 1ms 10"
    halts = attrs.evolve(live, scope=Scope(code=HLT))
    assert of(halts, "2") == "kstats exits --reason HLT --by vm 1 10"
    assert of(state, "1", "a b.jsonl") == "kstats cpu --input 'a b.jsonl'"
