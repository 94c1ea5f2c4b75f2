import fasttrain
from Cython.Build import cythonize
from setuptools import Extension, setup

extension = Extension(
    "downstream.model",
    ["src/downstream/model.pyx"],
    include_dirs=[fasttrain.get_include()],
    extra_compile_args=["-O2", "-fopenmp"],
    extra_link_args=["-fopenmp"],
)
setup(
    packages=["downstream"],
    package_dir={"": "src"},
    ext_modules=cythonize([extension], compiler_directives={"language_level": "3", "cdivision": True}),
)
