#include "consumer/service/tls_files.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <memory>

namespace homeward::consumer {
namespace {

using FilePtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using CertPtr = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

std::string time_text(const ASN1_TIME* time) {
    std::tm parts{};
    ASN1_TIME_to_tm(time, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

/// Nobody is asked for a passphrase at a terminal.
int no_passphrase(char*, int, int, void*) {
    return 0;
}

std::vector<CertPtr> read_certificates(const std::string& file) {
    std::vector<CertPtr> certificates;
    const FilePtr bio(BIO_new_file(file.c_str(), "r"), &BIO_free);
    while (bio != nullptr) {
        X509* const one = PEM_read_bio_X509(bio.get(), nullptr, &no_passphrase, nullptr);
        if (one == nullptr) break;
        certificates.emplace_back(one, &X509_free);
    }
    ERR_clear_error();
    return certificates;
}

KeyPtr read_key(const std::string& file) {
    const FilePtr bio(BIO_new_file(file.c_str(), "r"), &BIO_free);
    KeyPtr key(bio == nullptr
                   ? nullptr
                   : PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_passphrase, nullptr),
               &EVP_PKEY_free);
    ERR_clear_error();
    return key;
}

bool is_readable(const std::string& file) {
    return !file.empty() && ::access(file.c_str(), R_OK) == 0;
}

/// Of the certificates in one file; `is_any_enough`: a bundle of CAs may have old ones.
std::string fault_of(const std::vector<CertPtr>& certificates, bool is_any_enough) {
    if (certificates.empty()) return "has no certificate in PEM; name another file";
    std::string fault;
    for (const CertPtr& certificate : certificates) {
        const ASN1_TIME* const begin = X509_get0_notBefore(certificate.get());
        const ASN1_TIME* const end = X509_get0_notAfter(certificate.get());
        std::string here;
        if (X509_cmp_current_time(end) < 0) {
            here = "expired at " + time_text(end) + "; renew it";
        } else if (X509_cmp_current_time(begin) > 0) {
            here = "is valid only from " + time_text(begin) + "; is this machine's clock right?";
        }
        if (here.empty() && is_any_enough) return "";
        if (fault.empty()) fault = here;
        if (!is_any_enough) break;  // the first is ours
    }
    return fault;
}

}  // namespace

std::vector<std::string> find_tls_faults(const TlsFiles& files) {
    std::vector<std::string> faults;
    const std::string ca = files.section + ".tls_ca_file " + files.ca_file;
    const std::string cert = files.section + ".tls_cert_file " + files.cert_file;
    const std::string key = files.section + ".tls_key_file " + files.key_file;
    if (is_readable(files.ca_file)) {
        const std::string fault = fault_of(read_certificates(files.ca_file), true);
        if (!fault.empty()) faults.push_back(ca + ": " + fault);
    }
    if (files.cert_file.empty() != files.key_file.empty()) {
        faults.push_back((files.key_file.empty() ? cert : key) + ": needs the other of " +
                         files.section + ".tls_cert_file and .tls_key_file");
        return faults;
    }
    if (!is_readable(files.cert_file) || !is_readable(files.key_file)) return faults;
    const auto certificates = read_certificates(files.cert_file);
    const std::string fault = fault_of(certificates, false);
    if (!fault.empty()) faults.push_back(cert + ": " + fault);
    const KeyPtr private_key = read_key(files.key_file);
    if (private_key == nullptr) {
        faults.push_back(key + ": has no private key in PEM without a passphrase; name another");
    } else if (!certificates.empty() &&
               X509_check_private_key(certificates.front().get(), private_key.get()) != 1) {
        ERR_clear_error();
        faults.push_back(key + ": is not the key of " + cert +
                         "; name the two that belong together");
    }
    return faults;
}

}  // namespace homeward::consumer
