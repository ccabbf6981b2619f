"""What `dfd extract` does below Prefect, as a process of its own that tests may kill.

    python extraction_driver.py CONFIG LOG PACE_S

LOG gets a line of JSON for each shard that an actor starts and for each report; PACE_S is how long a shard rests first.
Exit code 0 after a whole extraction, 3 with the error's class and words on stderr where dfd raised it.
"""

import json
import signal
import sys
import time
from pathlib import Path

from dfd_core import pipeline
from dfd_core.config import RunConfig
from dfd_core.errors import DfdError
from dfd_core.storage import Store
from tasks import cancelling
from tasks.actors import ExtractionActor
from tasks.cluster import ray_session
from tasks.dispatcher import ShardDispatcher
from tasks.settings import EngineSettings

CONFIG, LOG, PACE_S = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])


class LoggingActor(ExtractionActor):
    """Says which shards it starts, and takes its time."""

    log, pace_s = LOG, PACE_S

    def extract(self, shard, careful):
        import os

        line = {
            "event": "start",
            "pid": os.getpid(),
            "samples": [sample_id for sample_id, _ in shard.samples],
            "targets": [target.folder for target in shard.targets],
            "careful": careful,
        }
        with Path(self.log).open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.networks.submit(time.sleep, self.pace_s).result()  # one shard after the other, as networks take their time
        return super().extract(shard, careful)


class Dispatcher(ShardDispatcher):
    actor_class = LoggingActor


def say(event, **facts):
    with Path(LOG).open("a") as file:
        file.write(json.dumps({"event": event, **facts}) + "\n")


def main():
    signal.signal(signal.SIGTERM, lambda *_: cancelling.request())
    config = RunConfig.model_validate_json(CONFIG.read_text())
    inputs = pipeline.find_inputs(config)
    manifests, feature_sets = inputs.open(config)
    plan = pipeline.plan_features(config, manifests, feature_sets)
    settings = EngineSettings.from_environment()
    with ray_session(settings):
        say("dispatch", shards=len(plan.shards))
        Dispatcher(
            Store(config.store), plan, config.extraction, settings, lambda report: say("report", worker=report.worker)
        ).run()
        say("done")
    pipeline.check_features(config, manifests, feature_sets)


if __name__ == "__main__":
    try:
        main()
    except DfdError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(3)
