"""Finding better schedules than the rules' by trying: `with st.tune(): ...`, or `SPIRALTORCH_TUNE=1`.

The rules state their decisions (`compiler.choices`); a search changes one at a time (`search`), a process of its own makes,
checks and times the candidates (`worker`), and what won is kept beside the compiled kernels (`runtime.tunings`).
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
