"""What a task of a cluster gets of its caller's own classes and functions."""

import pickle


class Shipped:
    """A value that becomes an object again where a task asks for it.

    Dask reads a task's arguments as the message with them comes in: what a worker cannot import closes its connection,
    the worker ends, and its tasks go on to the next one. Here the task fails, and says why.

    Parameters
    ----------
    value : object
    """

    def __init__(self, value):
        self._value = value

    def __call__(self):
        """The value."""
        return self._value

    def __reduce__(self):
        import cloudpickle

        return _Sealed, (cloudpickle.dumps(self._value),)


class _Sealed:
    def __init__(self, content):
        self._content = content

    def __call__(self):
        try:
            return pickle.loads(self._content)
        except (ImportError, AttributeError) as error:
            raise ImportError(
                f"a worker of the cluster cannot load what its task needs: {error}. Install the module there, upload "
                "it with client.upload_file, or define what it has in the script or notebook itself") from error
