"""The estimators that numpy evaluates: one row each, with the function that makes its stage.

A row names a module of this package and a function in it, as module:function. The function takes
the attributes of a fitted estimator (unpickling.Fitted) and the builder (building.Builder), and
returns a stage (stages.py). It raises Unknown for parameters that it does not support.
"""

from __future__ import annotations

ESTIMATORS: dict[str, dict[str, str]] = {
    "sklearn.compose._column_transformer": {"ColumnTransformer": "composition:columns"},
    "sklearn.ensemble._forest": {
        "ExtraTreesClassifier": "trees:forest_classifier",
        "ExtraTreesRegressor": "trees:forest_regressor",
        "RandomForestClassifier": "trees:forest_classifier",
        "RandomForestRegressor": "trees:forest_regressor",
    },
    "sklearn.ensemble._gb": {
        "GradientBoostingClassifier": "boosting:classifier",
        "GradientBoostingRegressor": "boosting:regressor",
    },
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": {
        "HistGradientBoostingClassifier": "histograms:classifier",
        "HistGradientBoostingRegressor": "histograms:regressor",
    },
    "sklearn.feature_extraction.text": {
        "CountVectorizer": "text:counts",
        "TfidfTransformer": "text:weights",
        "TfidfVectorizer": "text:weighted_counts",
    },
    "sklearn.impute._base": {"SimpleImputer": "scaling:imputer"},
    "sklearn.linear_model._base": {"LinearRegression": "linear:regressor"},
    "sklearn.linear_model._bayes": {"BayesianRidge": "linear:regressor"},
    "sklearn.linear_model._coordinate_descent": {
        "ElasticNet": "linear:regressor",
        "ElasticNetCV": "linear:regressor",
        "Lasso": "linear:regressor",
        "LassoCV": "linear:regressor",
    },
    "sklearn.linear_model._huber": {"HuberRegressor": "linear:regressor"},
    "sklearn.linear_model._logistic": {
        "LogisticRegression": "linear:logistic",
        "LogisticRegressionCV": "linear:logistic",
    },
    "sklearn.linear_model._perceptron": {"Perceptron": "linear:classifier"},
    "sklearn.linear_model._ridge": {
        "Ridge": "linear:regressor",
        "RidgeCV": "linear:regressor",
        "RidgeClassifier": "linear:classifier",
        "RidgeClassifierCV": "linear:classifier",
    },
    "sklearn.linear_model._stochastic_gradient": {
        "SGDClassifier": "linear:stochastic",
        "SGDRegressor": "linear:regressor",
    },
    "sklearn.naive_bayes": {
        "ComplementNB": "bayes:complement",
        "GaussianNB": "bayes:gaussian",
        "MultinomialNB": "bayes:multinomial",
    },
    "sklearn.pipeline": {
        "FeatureUnion": "composition:union",
        "Pipeline": "composition:pipeline",
    },
    "sklearn.preprocessing._data": {
        "MaxAbsScaler": "scaling:max_abs",
        "MinMaxScaler": "scaling:min_max",
        "RobustScaler": "scaling:robust",
        "StandardScaler": "scaling:standard",
    },
    "sklearn.preprocessing._encoders": {
        "OneHotEncoder": "encoding:one_hot",
        "OrdinalEncoder": "encoding:ordinal",
    },
    "sklearn.preprocessing._function_transformer": {"FunctionTransformer": "composition:function"},
    "sklearn.svm._classes": {
        "LinearSVC": "linear:classifier",
        "LinearSVR": "linear:regressor",
        "SVC": "vectors:classifier",
        "SVR": "vectors:regressor",
    },
    "sklearn.tree._classes": {
        "DecisionTreeClassifier": "trees:tree_classifier",
        "DecisionTreeRegressor": "trees:tree_regressor",
        "ExtraTreeClassifier": "trees:tree_classifier",
        "ExtraTreeRegressor": "trees:tree_regressor",
    },
}
# Objects inside of these estimators: kept as bare attributes, and never called.
PARTS = (
    "_loss.",  # scikit-learn's module of Cython calls itself so
    "numpy.random.",
    "sklearn._loss.",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.dummy.",
    "sklearn.ensemble._hist_gradient_boosting.",
    "sklearn.impute._base.MissingIndicator",
    "sklearn.linear_model._sgd_fast.",
    "sklearn.preprocessing._label.",
    "sklearn.utils.",
)


def is_admitted(module: str, name: str) -> bool:
    """Tell whether a file may name this class."""
    return name in ESTIMATORS.get(module, ()) or f"{module}.{name}".startswith(PARTS)


def row(kind: str) -> str | None:
    """Return the module and function for a class, or None for a mere part."""
    module, _, name = kind.rpartition(".")
    return ESTIMATORS.get(module, {}).get(name)
