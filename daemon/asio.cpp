// Asio and Beast, compiled once here in place of in every file that uses them.
#include <utility>

#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
