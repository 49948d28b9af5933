"""The autotuner: searches for faster schedules than those of the rules, with `st.tune()` or `SPIRALTORCH_TUNE=1`.

The search space consists of the named decisions of a schedule rule (`compiler.choices`). A coordinate descent
(`search`) changes one decision at a time; a roofline model (`cost`) prunes candidates. A separate process (`worker`,
reached through `client`) schedules, compiles, checks and times them (`trial`). The fastest schedules are kept in the
tuning store (`runtime.tunings`).
"""

from __future__ import annotations

from ..runtime.tunings import Entry as Entry
from ..runtime.tunings import clear as clear
from ..runtime.tunings import entries as entries
from .session import Session as Session
from .session import start as start
from .session import start_with as start_with
from .session import stop as stop
from .session import tune as tune
