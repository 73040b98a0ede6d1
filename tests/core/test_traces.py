import csv
import os
from pathlib import Path

import pytest

from supreme_dask.core.resources import Resources
from supreme_dask.core.simulation.traces import Job, read, squeezed, undeclared
from supreme_dask.errors import TraceError

OWN = """\
key,type,arrival,duration,memory,cpu,inputs,after,demand:memory,demand:GPU
a,load,5,10,2 GiB,1.5,,,3 GiB,1
b,sum,7,1,,,20 MB,a,,
"""
NFCORE = """\
process,status,cpus,memory,submit,realtime,%cpu,peak_rss
FLOW:QC:FASTQC,COMPLETED,2,1073741824,1000,3000,150.0,524288
FLOW:QC:FASTQC,FAILED,2,1073741824,1000,3000,150.0,524288
FLOW:MULTIQC,COMPLETED,1,2147483648,3500,500,-,-
"""
OPENB = """\
name,cpu_milli,memory_mib,num_gpu,gpu_milli,creation_time,deletion_time,scheduled_time
p-0,12000,1024,1,460,100,700,130
p-1,500,2048,0,0,50,90,
p-2,500,2048,0,0,60,,
"""


def table(text):
    return csv.DictReader(text.splitlines())


def test_our_own_columns():
    first, second = read(table(OWN))
    demand = Resources.parse({"memory": "3 GiB", "GPU": 1})
    assert first == Job("a", "load", 0.0, 10.0, demand, cpu=1.5, memory=2 << 30)
    assert second == Job("b", "sum", 2.0, 1.0, None, inputs=20_000_000, after=("a",))


def test_nextflow_traces_without_what_failed():
    first, second = read(table(NFCORE))
    assert first == Job("1", "FASTQC", 0.0, 3.0, Resources.parse({"cpu": 2, "memory": "1 GiB"}), 1.5, 512 << 10)
    assert (second.arrival, second.cpu, second.memory) == (2.5, 1.0, None)


def test_pods_of_openb_that_ended():
    first, second = read(table(OPENB))
    assert (first.key, first.arrival, first.duration) == ("p-1", 0.0, 40.0)
    assert second.declared == Resources.parse({"cpu": 12, "memory": "1 GiB", "GPU": 0.46})
    assert (second.arrival, second.duration) == (50.0, 570.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("type,duration\n", "it has no rows"),
        ("name,seconds\na,1\n", "it needs the columns 'type' and 'duration'; it has name, seconds"),
        ("type,durations\na,1\n", "durations (did you mean 'duration'?)"),
        ("type,duration,arrival\na,,1\n", "row 1: duration='': expected a number"),
        ("type,duration,arrival\na\n", "row 1: duration='': expected a number"),
        ("type,duration,cpu\na,1,two\n", "row 1: cpu='two': expected a number"),
        ("type,duration,arrival\na,1,inf\n", "row 1: arrival='inf': expected a number"),
        ("type,duration,inputs\na,1,many\n", "row 1: column inputs: memory='many': cannot be read"),
        ("type,duration,demand:memroy\na,1,1 GiB\n", "memroy='1 GiB': only cpu, memory, network have units (did you"),
        ("process,realtime\na,1\n", "row 1: there is no column 'status'"),
        (
            "cpu_milli,gpu_milli,deletion_time,creation_time,memory_mib\ninf,0,2,1,1\n",
            "row 1: cpu_milli='inf': expected",
        ),
        ("type,duration\nload,soon\n", "row 1: duration='soon': expected a number"),
        ("type,duration\nload,-1\n", "row 1: it arrives at 0 s and takes -1 s"),
        ("type,duration\nload,nan\n", "row 1: duration='nan': expected a number"),
        ("type,duration,demand:memory\nload,1,a lot\n", "row 1: memory='a lot': cannot be read"),
        ("type,duration,key\nload,1,a\nload,1,a\n", "'a' is there twice"),
        ("type,duration,after\nload,1,x\n", "'1' waits for 'x', which is not there"),
        ("type,duration,after\nload,1,2\nload,1,1\n", "waits for itself"),
    ],
)
def test_a_table_that_is_no_trace_is_refused_with_its_row_and_the_reason(text, problem):
    with pytest.raises(TraceError) as caught:
        read(table(text))
    assert problem in str(caught.value)


def test_a_trace_of_months_can_be_squeezed_into_an_hour():
    jobs = squeezed(read(table(OPENB)), span=3600, longest=100.0)
    assert [(one.arrival, one.duration) for one in jobs] == [(0.0, 40.0), (1800.0, 100.0)]


def test_what_was_declared_can_be_left_to_be_learned():
    assert undeclared(read(table(OPENB)))[1].declared == Resources.parse({"cpu": 12, "GPU": 0.46})


@pytest.mark.parametrize("name", ["nfcore/iwd.csv", "nfcore/mag.csv", "openb/openb_default.csv"])
def test_published_traces_can_be_read(name):
    place = os.environ.get("SUPREME_TRACES")
    if place is None:
        pytest.skip("SUPREME_TRACES names no directory with published traces")
    with (Path(place) / name).open(newline="") as file:
        jobs = read(csv.DictReader(file))
    assert len(jobs) > 1000
    assert jobs[0].arrival == 0.0
