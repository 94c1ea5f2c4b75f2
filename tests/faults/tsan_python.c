/* A Python with the thread sanitizer's runtime in it, which must be in a process before anything else is. */
#include <Python.h>

int main(int argc, char **argv) {
    return Py_BytesMain(argc, argv);
}
