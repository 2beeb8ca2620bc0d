# SPDX-License-Identifier: MIT
"""An adapter with state: pandas and scikit-learn over a session.

    snakepit call --session work --adapter data_science_adapter.py \\
        load_data file_path=plants.csv

What a call leaves for the next one of its session is kept in two places. Facts that
others may want to read are variables of the session, which the host keeps: they survive
this worker. The fitted objects themselves stay in this worker's memory, by session,
until the session ends.

Arguments come as one dict, because the methods are named execute_<command>.
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from snakepit_bridge.adapters.base import BaseAdapter
from snakepit_bridge.session_context import SessionContext

MODELS = {
    "linear_regression": LinearRegression,
    "random_forest": RandomForestRegressor,
}


class DataScienceAdapter(BaseAdapter):
    def __init__(self):
        super().__init__()
        self.models = {}  # fitted objects, by "<session>_<what>"

    def set_session_context(self, context: SessionContext):
        """The worker calls this before each command."""
        self.session_context = context

    def on_session_end(self, session_id):
        """The session is over: nobody will ask for its models again."""
        prefix = f"{session_id}_"
        for key in [key for key in self.models if key.startswith(prefix)]:
            del self.models[key]

    async def execute_load_data(self, args):
        """Read a CSV file; its shape and columns become variables of the session."""
        path = args.get("file_path")
        if not path:
            raise ValueError("file_path is required")
        frame = pd.read_csv(path)
        columns = frame.columns.tolist()
        if self.session_context:
            await self._remember("data_shape", "list", list(frame.shape))
            await self._remember("columns", "list", columns)
        return {
            "rows": len(frame),
            "columns": len(columns),
            "column_names": columns,
            "dtypes": {name: str(dtype) for name, dtype in frame.dtypes.items()},
        }

    async def execute_preprocess(self, args):
        """Scale the features of some rows and split them for training."""
        frame = pd.DataFrame(args.get("data"))
        target = args.get("target")
        if target not in frame:
            raise ValueError(f"no column {target!r}: there are {list(frame.columns)}")
        features = frame.drop(columns=[target])
        scaler = StandardScaler()
        scaled = scaler.fit_transform(features)
        if self.session_context:
            self.models[f"{self.session_id}_scaler"] = scaler
        train, test, _, _ = train_test_split(
            scaled, frame[target], test_size=0.2, random_state=42
        )
        return {
            "train_size": len(train),
            "test_size": len(test),
            "feature_means": scaler.mean_.tolist(),
            "feature_stds": scaler.scale_.tolist(),
        }

    async def execute_train_model(self, args):
        """Fit a model to rows, or only prepare it when there are none."""
        model_type = args.get("model_type", "linear_regression")
        if model_type not in MODELS:
            raise ValueError(f"no model {model_type!r}: there are {sorted(MODELS)}")
        model = MODELS[model_type](**args.get("hyperparams", {}))
        score = None
        if args.get("data"):
            frame, target = pd.DataFrame(args["data"]), args["target"]
            features = frame.drop(columns=[target])
            scaler = self.models.get(f"{self.session_id}_scaler")
            values = scaler.transform(features) if scaler is not None else features
            model.fit(np.asarray(values), frame[target])
            score = model.score(np.asarray(values), frame[target])
        model_id = f"{self.session_id}_{model_type}"
        if self.session_context:
            self.models[model_id] = model
            await self._remember("current_model", "string", model_id)
        return {
            "model_id": model_id,
            "model_type": model_type,
            "training_complete": True,
            "score": score,
        }

    async def execute_predict(self, args):
        """Predict with the model the session trained last."""
        model_id = await self.session_context.get_variable("current_model")
        model = self.models.get(model_id)
        if model is None:
            raise LookupError(f"{model_id} is not in this worker: train it again")
        values = pd.DataFrame(args["data"])
        scaler = self.models.get(f"{self.session_id}_scaler")
        if scaler is not None:
            values = scaler.transform(values)
        return {"model_id": model_id, "predictions": model.predict(np.asarray(values))}

    async def _remember(self, name, kind, value):
        """A variable, new or not."""
        context = self.session_context
        if name in context:
            await context.set_variable(name, value)
        else:
            await context.register_variable(name, kind, value)
