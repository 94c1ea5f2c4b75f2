"""What estimators know of scikit-learn's classes of the same name: the methods by which one becomes the other."""

# In the attributes of an object of a replaced class whose fitted state is scikit-learn's.
SERVED = "_served_by_scikit_learn"


def own_class(estimator):
    """The class of fasttrain that an estimator is of, also where it goes by scikit-learn's name; else its type."""
    cls = type(estimator)
    return vars(cls).get("_fast", cls)


class Convertible:
    """Mixin of the estimators that :mod:`fasttrain.interop` knows."""

    def to_sklearn(self):
        """A stock scikit-learn estimator with the same predictions: :func:`fasttrain.interop.to_sklearn`.

        Returns
        -------
        estimator of scikit-learn
            Fitted if this one is. Nothing of it needs fasttrain, and no array is shared.
        """
        from fasttrain import interop

        return interop.to_sklearn(self)

    @classmethod
    def from_sklearn(cls, estimator):
        """This class's estimator with the predictions of a stock one: :func:`fasttrain.interop.from_sklearn`.

        Parameters
        ----------
        estimator : estimator of scikit-learn

        Returns
        -------
        estimator
            Fitted if ``estimator`` is. No array is shared.
        """
        from fasttrain import interop

        return interop.from_sklearn(estimator, cls)
