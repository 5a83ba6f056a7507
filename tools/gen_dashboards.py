"""Generate the Grafana dashboards in deploy/grafana from the panels below.

Run: .venv/bin/python tools/gen_dashboards.py [--check]

Grafana's own library writes the JSON. Dashboards use the rules in deploy/prometheus/rules.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import attrs
from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, table
from grafana_foundation_sdk.builders import timeseries as time_series
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import StackingMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    VariableOption,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

FOLDER = Path(__file__).parent.parent / "deploy/grafana"
SOURCE = DataSourceRef("prometheus", "${datasource}")
COLUMNS = 24
HEIGHT = 8

HOST = 'instance=~"$instance"'
VM = f'{HOST}, vm=~"$vm"'

PER_SECOND, SHARE, SECONDS, COUNT = "cps", "percentunit", "s", "short"

Builder: TypeAlias = time_series.Panel | stat.Panel | table.Panel | heatmap.Panel


@attrs.frozen
class Panel:
    """A chart: what it shows, of which query, with which legend.

    Attributes:
        title: Its heading.
        query: PromQL; ``$__rate_interval`` is Grafana's.
        legend: What names a series, with labels in double braces.
        unit: Grafana's name of the unit.
        kind: ``lines``, ``areas`` (stacked), ``number``, ``table`` (of the labels) or ``heatmap``.
        width: Columns out of 24.
        about: One sentence for the panel's information mark.
    """

    title: str
    query: str
    legend: str = ""
    unit: str = PER_SECOND
    kind: str = "lines"
    width: int = 12
    about: str = ""

    def build(self, number: int) -> Builder:
        """Return the panel as Grafana's library has it."""
        query = prometheus.Dataquery().expr(self.query).ref_id("A").datasource(SOURCE)
        query = query.legend_format(self.legend) if self.legend else query
        if self.kind == "table":
            query = query.instant().format(PromQueryFormat.TABLE)
        elif self.kind == "heatmap":
            query = query.format(PromQueryFormat.HEATMAP)
        panel = self._chart().id(number).title(self.title).description(self.about).unit(self.unit)
        height = HEIGHT // 2 if self.kind == "number" else HEIGHT
        return panel.datasource(SOURCE).height(height).span(self.width).with_target(query)

    def _chart(self) -> Builder:
        if self.kind == "number":
            return stat.Panel()
        if self.kind == "table":
            return table.Panel()
        if self.kind == "heatmap":
            return heatmap.Panel()
        lines = time_series.Panel().min(0)
        if self.kind == "areas":
            stacked = common.StackingConfig().mode(StackingMode.NORMAL)
            return lines.stacking(stacked).fill_opacity(40).line_width(0)
        return lines


@attrs.frozen
class Dashboard:
    """A dashboard: its variables by name with the query of their values, and its panels by row."""

    name: str
    title: str
    about: str
    variables: dict[str, str]
    rows: dict[str, tuple[Panel, ...]]

    def panels(self) -> Iterator[Panel]:
        """Yield all panels."""
        for panels in self.rows.values():
            yield from panels

    def text(self) -> str:
        """Return the file."""
        made = dashboard.Dashboard(self.title).uid(f"kstats-{self.name}").description(self.about)
        made = made.tags(["kstats", "kvm"]).time("now-1h", "now").refresh("1m").editable()
        made = made.tooltip(DashboardCursorSync.CROSSHAIR).timezone("browser")
        links = dashboard.DashboardLink("kstats").type(DashboardLinkType.DASHBOARDS)
        links = links.tags(["kstats"]).as_dropdown(as_dropdown=True)
        made = made.link(links.include_vars(include_vars=True).keep_time(keep_time=True))
        source = dashboard.DatasourceVariable("datasource").type("prometheus").label("data source")
        made = made.with_variable(source)
        for name, query in self.variables.items():
            made = made.with_variable(_variable(name, query))
        number = 0
        for title, panels in self.rows.items():
            made = made.with_row(dashboard.Row(title))
            for panel in panels:
                number += 1
                made = made.with_panel(panel.build(number))
        encoder = JSONEncoder(indent=1, sort_keys=True, ensure_ascii=False)
        return f"{encoder.encode(made.build())}\n"


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    """Return a variable that can be one value, several or all."""
    every = VariableOption(text="All", value="$__all", selected=True)
    made = dashboard.QueryVariable(name).query(f"label_values({query}, {name})").datasource(SOURCE)
    made = made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).current(every)
    return made.include_all(include_all=True).all_value(".*").multi(multi=True)


def _state(which: str, by: str = VM) -> str:
    return f'instance_vm_state:kvm_vcpu_time_seconds:ratio_rate5m{{{by}, state="{which}"}}'


FLEET = Dashboard(
    "fleet",
    "KVM exits: fleet",
    "All hosts, across architectures.",
    {"isa": "instance:kstats_isa:info"},
    {
        "Fleet": (
            Panel(
                "Hosts",
                'count by (isa) (instance:kstats_isa:info{isa=~"$isa"})',
                "{{isa}}",
                COUNT,
                "number",
                6,
            ),
            Panel(
                "vCPUs",
                "sum by (isa) (instance:kvm_vm_vcpus:sum"
                ' * ignoring (arch, isa) group_left (isa) instance:kstats_isa:info{isa=~"$isa"})',
                "{{isa}}",
                COUNT,
                "number",
                6,
            ),
            Panel(
                "Hosts that do not answer or do not count",
                "count(up{job=~'kstats.*'} == 0 or kstats_up == 0) or vector(0)",
                "hosts",
                COUNT,
                "number",
                6,
            ),
            Panel(
                "Alerts",
                'count by (alertname) (ALERTS{alertname=~"Kvm.*|Kstats.*", alertstate="firing"})'
                " or vector(0)",
                "{{alertname}}",
                COUNT,
                "number",
                6,
            ),
        ),
        "Architectures": (
            Panel(
                "Exits per vCPU-second",
                'sum by (isa) (isa_category:kvm_vm_exits_per_vcpu:rate5m{isa=~"$isa"})',
                "{{isa}}",
            ),
            Panel(
                "Exits per vCPU-second by category",
                'isa_category:kvm_vm_exits_per_vcpu:rate5m{isa=~"$isa"}',
                "{{isa}} {{category}}",
                about="The same figures as per_vcpu_s of kstats compare.",
            ),
            Panel(
                "Shares of exits by category",
                'isa_category:kvm_vm_exits_per_vcpu:rate5m{isa=~"$isa"} / ignoring (category)'
                " group_left sum by (isa) (isa_category:kvm_vm_exits_per_vcpu:rate5m)",
                "{{isa}} {{category}}",
                SHARE,
            ),
            Panel(
                "Time outside the guest, of vCPUs that run",
                "sum by (isa) (instance_vm_state:kvm_vcpu_time_seconds:rate5m{state=~'kernel|vmm'}"
                " * ignoring (vm, state, arch, isa) group_left (isa)"
                ' instance:kstats_isa:info{isa=~"$isa"})'
                " / sum by (isa)"
                " (instance_vm_state:kvm_vcpu_time_seconds:rate5m{state=~'guest|kernel|vmm'}"
                " * ignoring (vm, state, arch, isa) group_left (isa) instance:kstats_isa:info)",
                "{{isa}}",
                SHARE,
            ),
        ),
        "Hosts": (
            Panel(
                "Hosts with the most exits per vCPU",
                "topk(10, sum without (category)"
                ' (instance_category:kvm_vm_exits_per_vcpu:rate5m{category!="idle"}))',
                "{{instance}}",
                about="Idle exits are left out.",
            ),
            Panel(
                "VMs that wait most for a CPU",
                'topk(10, instance_vm_state:kvm_vcpu_time_seconds:ratio_rate5m{state="waiting"})',
                "{{vm}} on {{instance}}",
                SHARE,
            ),
            Panel(
                "Versions",
                "count by (version, kernel, isa, probe, loader) (kstats_build_info)",
                kind="table",
                unit=COUNT,
            ),
            Panel(
                "Incomplete counts in the last hour",
                "sum by (instance, kind) (increase(kstats_losses_total[1h]))",
                "{{instance}} {{kind}}",
                COUNT,
            ),
        ),
    },
)

HOST_DASHBOARD = Dashboard(
    "host",
    "KVM exits: host",
    "The CPUs and VMs of a host.",
    {"instance": "kstats_build_info"},
    {
        "Host": (
            Panel(
                "Exits",
                f"sum(instance_vm:kvm_vm_exits:rate5m{{{HOST}}})",
                "exits",
                PER_SECOND,
                "number",
                6,
            ),
            Panel("VMs", f"sum(kstats_vms{{{HOST}}})", "VMs", COUNT, "number", 6),
            Panel("vCPUs", f"sum(kvm_vm_vcpus{{{HOST}}})", "vCPUs", COUNT, "number", 6),
            Panel(
                "Time since the last sample",
                f"max(time() - kstats_last_sample_timestamp_seconds{{{HOST}}})",
                "age",
                SECONDS,
                "number",
                6,
            ),
        ),
        "Exits": (
            Panel(
                "Exits by category",
                f"sum by (category) (instance_category:kvm_vm_exits:rate5m{{{HOST}}})",
                "{{category}}",
                kind="areas",
            ),
            Panel(
                "Exits by reason",
                f"topk(15, sum by (reason) (rate(kvm_vm_exits_total{{{HOST}}}[$__rate_interval])))",
                "{{reason}}",
                about="kstats explain REASON says what causes them.",
            ),
            Panel(
                "Exits by CPU",
                f"sum by (instance, cpu) (rate(kvm_cpu_exits_total{{{HOST}}}[$__rate_interval]))",
                "{{instance}} CPU {{cpu}}",
            ),
            Panel(
                "Entries and exits",
                f"sum(rate(kvm_cpu_entries_total{{{HOST}}}[$__rate_interval]))"
                f" - sum(rate(kvm_cpu_exits_total{{{HOST}}}[$__rate_interval]))",
                "entries - exits",
                about="Zero, but for entries that fail.",
            ),
        ),
        "VMs": (
            Panel(
                "VMs with the most exits",
                f"topk(10, instance_vm:kvm_vm_exits:rate5m{{{HOST}}})",
                "{{vm}}",
            ),
            Panel(
                "VMs that wait most for a CPU",
                f"topk(10, {_state('waiting', HOST)})",
                "{{vm}}",
                SHARE,
            ),
            Panel(
                "VMs with the slowest exits (99th percentile, without idle)",
                f"topk(10, instance_vm:kvm_vm_exit_duration_seconds:p99_rate5m{{{HOST}}})",
                "{{vm}}",
                SECONDS,
            ),
            Panel("VMs", f"kvm_vm_info{{{HOST}}}", kind="table", unit=COUNT),
        ),
        "kstats": (
            Panel(
                "CPU time of the exporter",
                f"rate(process_cpu_seconds_total{{{HOST}}}[$__rate_interval])"
                f" and on (instance, job) kstats_up{{{HOST}}}",
                "{{instance}}",
                SHARE,
                about="Of one core. What counting costs the guests is not part of it.",
            ),
            Panel(
                "Incomplete counts",
                f"sum by (instance, kind) (increase(kstats_losses_total{{{HOST}}}[1h]))",
                "{{instance}} {{kind}}",
                COUNT,
            ),
            Panel("Series", f"kstats_series{{{HOST}}}", "{{instance}}", COUNT),
            Panel(
                "Time to take a sample",
                f"kstats_sample_duration_seconds{{{HOST}}}",
                "{{instance}}",
                SECONDS,
            ),
        ),
    },
)

VM_DASHBOARD = Dashboard(
    "vm",
    "KVM exits: VM",
    "One VM, or several: reasons, times and durations.",
    {"instance": "kstats_build_info", "vm": "kvm_vm_vcpus{instance=~'$instance'}"},
    {
        "Exits": (
            Panel(
                "Exits by category",
                f"sum by (category) (instance_vm_category:kvm_vm_exits:rate5m{{{VM}}})",
                "{{category}}",
                kind="areas",
            ),
            Panel(
                "Exits by reason",
                f"topk(15, sum by (reason) (rate(kvm_vm_exits_total{{{VM}}}[$__rate_interval])))",
                "{{reason}}",
                about="kstats explain REASON says what causes them.",
            ),
            Panel(
                "Exits by vCPU",
                f"sum by (vm, vcpu) (rate(kvm_vcpu_exits_total{{{VM}}}[$__rate_interval]))",
                "{{vm}} vCPU {{vcpu}}",
                about="Needs kstats exporter --by vcpu.",
            ),
            Panel("VMs", f"kvm_vm_info{{{VM}}}", kind="table", unit=COUNT),
        ),
        "Time": (
            Panel(
                "Where the time of the vCPUs goes",
                f"avg by (state) (instance_vm_state:kvm_vcpu_time_seconds:ratio_rate5m{{{VM}}})",
                "{{state}}",
                SHARE,
                "areas",
                about="Needs kstats exporter --time.",
            ),
            Panel(
                "Waiting for a CPU, by vCPU",
                f'rate(kvm_vcpu_time_seconds_total{{{VM}, state="waiting"}}[$__rate_interval])',
                "{{vm}} vCPU {{vcpu}}",
                SHARE,
                about="What guests see as steal time.",
            ),
        ),
        "Durations": (
            Panel(
                "99th percentile by category",
                "histogram_quantile(0.99, sum by (category, le)"
                f" (rate(kvm_vm_exit_duration_seconds_bucket{{{VM}}}[$__rate_interval])))",
                "{{category}}",
                SECONDS,
                about="Needs kstats exporter --durations.",
            ),
            Panel(
                "Mean by category",
                f"sum by (category) (rate(kvm_vm_exit_duration_seconds_sum{{{VM}}}"
                "[$__rate_interval])) / sum by (category)"
                f" (rate(kvm_vm_exit_duration_seconds_count{{{VM}}}[$__rate_interval]))",
                "{{category}}",
                SECONDS,
            ),
            Panel(
                "Exits by duration, without idle",
                "sum by (le) (increase(kvm_vm_exit_duration_seconds_bucket"
                f'{{{VM}, category!="idle"}}[$__rate_interval]))',
                "{{le}}",
                SECONDS,
                "heatmap",
                COLUMNS,
            ),
        ),
    },
)

DASHBOARDS = (FLEET, HOST_DASHBOARD, VM_DASHBOARD)


def stale() -> list[Path]:
    """Return the files that are not what this program writes."""
    return [path for path, text in files() if not path.exists() or path.read_text() != text]


def files() -> Iterator[tuple[Path, str]]:
    """Yield the path and text of each dashboard."""
    return ((FOLDER / f"{each.name}.json", each.text()) for each in DASHBOARDS)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit("".join(f"{path} is not up to date\n" for path in stale()) or 0)
    for path, text in files():
        path.write_text(text, encoding="utf-8")
