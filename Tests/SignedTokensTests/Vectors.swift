/// Keys and tokens that another program made (Python's cryptography 48, on OpenSSL), and the examples of the RFCs.
enum Vectors {
    /// PKCS #8.
    static let rsa = """
        -----BEGIN PRIVATE KEY-----
        MIIEvwIBADANBgkqhkiG9w0BAQEFAASCBKkwggSlAgEAAoIBAQDknA42/rWCOXG0
        6FXmOdscCeZBU7+3X1AAbYE690lR0pTiSxqmagtuj4wyFiOg3MS8SP5RMnKoo4fY
        futrjf1lLGgM0UX3gIAG1A/gCEgjx9Rp0WgCvfK/ZBWC05/nQqokHzq6GO7Vo2vF
        Gv+u/GlA3eLnD52uPLWF/4qyaLoMe1rRzbZVdCtmHviINTshMXyiZKRkQM+hl/Ul
        yMog1HGjAYdcHTtH6S9wgYYmvJXS6RabSkkjvKQ02tccgBlEoq2AtQcwwIbIVV0N
        M8Al1UxqKNASipkuLYt1IfpB+Cf+UX0G36aYLsNILZXVTkG/4sdxgPfJXIuFY6Gm
        xv08Uk+xAgMBAAECggEAMOCcuW1j6V/Wy9MQ6pRcIHaNYFJDnzUlqbG/+5d7eZ8I
        bgmYvRPXNeBDHUJWg8Iv3gHNPhcHJL8yADvCodBN6R/Bb1wfFXfH563XZxLeOagz
        5hv7nPp3uCvx3XLZsVwzfF2g9MD3731tQUswd31IE7JdHQHduK8KMIgeY164yIn/
        m6nSz5WtKLp8Pr+DvWSyyf0adzMOS6xj1AbiL/P8mXYmjoIaZH8tuRFq3BVi9v9l
        Goxguu7ws0YEa+tr1MOr8jstjifWuy81qE29Y5S3mk3c3lRt9CslrXp5u6huXfCo
        WoPVzYz3vvMYqc6qHoUNNqX/Fom2ffoepRGHlJCoQQKBgQD/Y0Fa0C0tfSZKHVV/
        pQEbmMmEELSuhBYrDboYBANsVB1uUtMURP7Hz4PbLsRmOBUC+kQiTL17WOz5c6Pg
        pUHpyonuh+AzXPN+rmwrK3eqm662vcjzN+/5weY22am0x04MJZfM34kyOC9Fu7hZ
        NLcxoSd/3vsnpMMryes+mwozvQKBgQDlKF13xuT6SQFcLgClZfbvRo6MVVi6BbT0
        ZlmQAV8m01XPbraDjnhb7ni8ev9wM2B2QHU/MCkdRaBoCcR5g7COG+l5ZL1zTN9U
        /QJhbqvFDJF/7qPA2C82MTiP64TbmmuchiVsg5zrZCFAlyZQ9CDrnZK7SSadZbHX
        lfemQYrRBQKBgQCykLS+iXY9KxcdlRsVz8pRgGfOJlwe9Y4GdmeaqRu3n6ygWdrq
        fj9id+7qzu1Vx3qxhUkkbmHCH/A5jqiTxxiqHgqJNIoHf8Nk3RIWsSLPsGDdtx8N
        KBxrli6gRVqKYxxoE9Tq05U6/tvWtyVzgg9g7RwQJVmYY3RvZpRMRt1ARQKBgQDZ
        9Ft5+c19lARcJVDt/54vFJ+uL9q1C4qBzfsvcW6L4gPCyJ2FYPNvFND3C9F6aRM9
        Ra9+ixL/yWJ4sZmSrcM2Vqvojv119c6Q6hfijb2ILJ0S3eoYGEZHN+eBU1PI/wWN
        GTXtEP0mEdVitqB17MyG7RdLVJcKq1fMIdIq6jna9QKBgQCaItxkAgrOT2MXdENk
        VWOduk17bFram/msRA+rTIuBb4d2eWhbm/yngmG7Zye2JdnSqhzoRkJpeopUTI3C
        UWfUSEnAJQEwrxwhS5S8793w4xcmxv0CZOry7POBSsxO5vS0jOeA2zgVk0zWi6oC
        CwpuN6PnMnQsFdcLdnxBFoVW/w==
        -----END PRIVATE KEY-----
        """

    /// The same in PKCS #1.
    static let rsaOld = """
        -----BEGIN RSA PRIVATE KEY-----
        MIIEpQIBAAKCAQEA5JwONv61gjlxtOhV5jnbHAnmQVO/t19QAG2BOvdJUdKU4ksa
        pmoLbo+MMhYjoNzEvEj+UTJyqKOH2H7ra439ZSxoDNFF94CABtQP4AhII8fUadFo
        Ar3yv2QVgtOf50KqJB86uhju1aNrxRr/rvxpQN3i5w+drjy1hf+Ksmi6DHta0c22
        VXQrZh74iDU7ITF8omSkZEDPoZf1JcjKINRxowGHXB07R+kvcIGGJryV0ukWm0pJ
        I7ykNNrXHIAZRKKtgLUHMMCGyFVdDTPAJdVMaijQEoqZLi2LdSH6Qfgn/lF9Bt+m
        mC7DSC2V1U5Bv+LHcYD3yVyLhWOhpsb9PFJPsQIDAQABAoIBADDgnLltY+lf1svT
        EOqUXCB2jWBSQ581Jamxv/uXe3mfCG4JmL0T1zXgQx1CVoPCL94BzT4XByS/MgA7
        wqHQTekfwW9cHxV3x+et12cS3jmoM+Yb+5z6d7gr8d1y2bFcM3xdoPTA9+99bUFL
        MHd9SBOyXR0B3bivCjCIHmNeuMiJ/5up0s+VrSi6fD6/g71kssn9GnczDkusY9QG
        4i/z/Jl2Jo6CGmR/LbkRatwVYvb/ZRqMYLru8LNGBGvra9TDq/I7LY4n1rsvNahN
        vWOUt5pN3N5UbfQrJa16ebuobl3wqFqD1c2M977zGKnOqh6FDTal/xaJtn36HqUR
        h5SQqEECgYEA/2NBWtAtLX0mSh1Vf6UBG5jJhBC0roQWKw26GAQDbFQdblLTFET+
        x8+D2y7EZjgVAvpEIky9e1js+XOj4KVB6cqJ7ofgM1zzfq5sKyt3qpuutr3I8zfv
        +cHmNtmptMdODCWXzN+JMjgvRbu4WTS3MaEnf977J6TDK8nrPpsKM70CgYEA5Shd
        d8bk+kkBXC4ApWX270aOjFVYugW09GZZkAFfJtNVz262g454W+54vHr/cDNgdkB1
        PzApHUWgaAnEeYOwjhvpeWS9c0zfVP0CYW6rxQyRf+6jwNgvNjE4j+uE25prnIYl
        bIOc62QhQJcmUPQg652Su0kmnWWx15X3pkGK0QUCgYEAspC0vol2PSsXHZUbFc/K
        UYBnziZcHvWOBnZnmqkbt5+soFna6n4/Ynfu6s7tVcd6sYVJJG5hwh/wOY6ok8cY
        qh4KiTSKB3/DZN0SFrEiz7Bg3bcfDSgca5YuoEVaimMcaBPU6tOVOv7b1rclc4IP
        YO0cECVZmGN0b2aUTEbdQEUCgYEA2fRbefnNfZQEXCVQ7f+eLxSfri/atQuKgc37
        L3Fui+IDwsidhWDzbxTQ9wvRemkTPUWvfosS/8lieLGZkq3DNlar6I79dfXOkOoX
        4o29iCydEt3qGBhGRzfngVNTyP8FjRk17RD9JhHVYragdezMhu0XS1SXCqtXzCHS
        Kuo52vUCgYEAmiLcZAIKzk9jF3RDZFVjnbpNe2xa2pv5rEQPq0yLgW+HdnloW5v8
        p4Jhu2cntiXZ0qoc6EZCaXqKVEyNwlFn1EhJwCUBMK8cIUuUvO/d8OMXJsb9AmTq
        8uzzgUrMTub0tIzngNs4FZNM1ouqAgsKbjej5zJ0LBXXC3Z8QRaFVv8=
        -----END RSA PRIVATE KEY-----
        """

    static let rsaPublic = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA5JwONv61gjlxtOhV5jnb
        HAnmQVO/t19QAG2BOvdJUdKU4ksapmoLbo+MMhYjoNzEvEj+UTJyqKOH2H7ra439
        ZSxoDNFF94CABtQP4AhII8fUadFoAr3yv2QVgtOf50KqJB86uhju1aNrxRr/rvxp
        QN3i5w+drjy1hf+Ksmi6DHta0c22VXQrZh74iDU7ITF8omSkZEDPoZf1JcjKINRx
        owGHXB07R+kvcIGGJryV0ukWm0pJI7ykNNrXHIAZRKKtgLUHMMCGyFVdDTPAJdVM
        aijQEoqZLi2LdSH6Qfgn/lF9Bt+mmC7DSC2V1U5Bv+LHcYD3yVyLhWOhpsb9PFJP
        sQIDAQAB
        -----END PUBLIC KEY-----
        """

    /// Long expired, which does not matter.
    static let rsaCertificate = """
        -----BEGIN CERTIFICATE-----
        MIICmzCCAYOgAwIBAgIBBzANBgkqhkiG9w0BAQsFADARMQ8wDQYDVQQDDAZ0b2tl
        bnMwHhcNMjAwMTAxMDAwMDAwWhcNMjEwMTAxMDAwMDAwWjARMQ8wDQYDVQQDDAZ0
        b2tlbnMwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQDknA42/rWCOXG0
        6FXmOdscCeZBU7+3X1AAbYE690lR0pTiSxqmagtuj4wyFiOg3MS8SP5RMnKoo4fY
        futrjf1lLGgM0UX3gIAG1A/gCEgjx9Rp0WgCvfK/ZBWC05/nQqokHzq6GO7Vo2vF
        Gv+u/GlA3eLnD52uPLWF/4qyaLoMe1rRzbZVdCtmHviINTshMXyiZKRkQM+hl/Ul
        yMog1HGjAYdcHTtH6S9wgYYmvJXS6RabSkkjvKQ02tccgBlEoq2AtQcwwIbIVV0N
        M8Al1UxqKNASipkuLYt1IfpB+Cf+UX0G36aYLsNILZXVTkG/4sdxgPfJXIuFY6Gm
        xv08Uk+xAgMBAAEwDQYJKoZIhvcNAQELBQADggEBANkjPVDHyOwZQ33/duOdHEg1
        cn9sl6whbaUCGtoLtk2mw9E68Pa3IbIne/t++5+ZmDmfyvgiPcVZHKQooWYKENkJ
        S3eTxRENZmUv3a1VrU8YG8e+eIBraSMLaPN0YvWNDYFLUOf/2xkPe7xp49E+a7vI
        GSmiCZHGyW84pS6/sH6N98XCHrBwpajxxW9k3eaJU1pEYJXGqEGnJka6dr4ncYlo
        P/9Tl29mh6MIkJr/mL74Yl6vB6afd6Ao46jvkrgBPjvkQLtOS112i90s6gbjpiS+
        cCoSeWcgScJ8Jfz5CRvk43i1/njcsGC//C2/SVTrTIIZvLSgK7hImzLy5MXGBco=
        -----END CERTIFICATE-----
        """

    /// 1024 bits.
    static let rsaShort = """
        -----BEGIN PRIVATE KEY-----
        MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAMT98ZwNb27kRdJR
        Xm+ldQDMyGvXC7b4M2VWU58JNKOQB/6vWcCNaGJdhcK0UeFPv3xaHn8NXx5UFqYQ
        5Eu6mxd7DQcab1oCo5HSXBkUueMQTV3iMbAnXMCLDpDzIaypmmCwrbkC3Inxl3/V
        5rHrmImHdr5d61NWnxl7y6zuBXmVAgMBAAECgYB5yh7EQjIwtwTL4O6ny/2ofvMy
        aQOfHZh5AIQ2gPSAYx3uQe8VctekaPm3xNASosFaWkUce+Hg2FAgX7UldLtJFVyv
        9JTqoajTElL+c+FskPQ6MVURHYfJrxuMRB33a0W6XfFPA4KFLIu9NicnBxtlcf+D
        +cm7/MxEzG5wYPkHCQJBAORnrRt2IRl+jnk0DBXLoMZiOwbbpFx+71oOT3BRiaEP
        Azc7Ugb8Msgpn2xhxFUIfwdMxiGk16BNWm1zeGNI+N8CQQDcyrJAwL4lFQ+2Rfs8
        eHXBFkT6TMSlXmJqWYKtxnKb/aaQr+w0L9gYtJ3RuqAJg1AOE6qqTUuwzul4zE2Q
        zjgLAkBiFBsDhdBk0DGB3lWqLkyVo6zRHxQPG/rP4wE9q+W7oWSyHOj2UunDhgwN
        UFYsZX+WtOMHo29sSIsiIMl7aORlAkEAgqwIMWChaIr9gJAMcC6O6pcGfejfXUvu
        DSkquTRA8md9pBYqQnyqdXy4Br9gJiEsSRiEokQa7uqWrSKlKXWTHwJBALrXv/8V
        tBj5V4d7uVoCxBoK23Gf+twl8DFC42SYt80CwCtZX93IfxXHufTmE7lbnGBoF02G
        5lkN1uHtICV7OTg=
        -----END PRIVATE KEY-----
        """

    /// Of another pair.
    static let rsaOther = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvmJ6RO30u5VluQqjvdM6
        wVvS/OuEHxdtL0L7h7Kp2SODVB9Bvh0yzyJnFcbyO5iaBTjukfLddzNVvUK7tRJj
        ypGIUQArIC+0eK3zOvqXpoQKG7OJmk4eP6A3mr0LPydqmqdzBURwQI8WVBB29e9n
        c37TB5HEQ4F0NnCFfOfvtWvjm1ghHflhGMviYK98BFnXIG2zMzb5ELscfaxq4r69
        j1BhSn37zz0Rg9LOkj7lv3sAcj5RG0UBYauB/QctbNz8YDcqg0oKchZfYLz+INSq
        eVxGW+Im6nORtbdLUWXSF0Rhv2Ct24YCXwLyhrr7XEFnI3SlOqjhNJsav8INsnvu
        jQIDAQAB
        -----END PUBLIC KEY-----
        """

    static let p256 = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggO4AlKkx/PkuBpfJ
        d5JTdksGzgbKuWrSfacDg4nAD86hRANCAARXMq9a9m0foOSYt/NWGq5SMIOfbUah
        W6zXJ/SnHEhOxuh5qUBJnWl3x6sU3F85JxExLn4tBvxg119yRBYF5+Wd
        -----END PRIVATE KEY-----
        """

    static let p256Public = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVzKvWvZtH6DkmLfzVhquUjCDn21G
        oVus1yf0pxxITsboealASZ1pd8erFNxfOScRMS5+LQb8YNdfckQWBeflnQ==
        -----END PUBLIC KEY-----
        """

    static let p384 = """
        -----BEGIN PRIVATE KEY-----
        MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCKYf0qRvrihWLcaJWF
        eJL193UXbuEHFtkpooFjaFtrPHHub8xEx6Y3E61pBBu6iV+hZANiAATsLefNMrid
        ElwS04DqRw2cdwFF7awCLo0MiqNbJTXBUmPd78idpdVtmJgAwABkP7EQ4/8JwDUy
        2xHvgKG/COwhy8RfbVjHaZWqQ8lbM9tXkUgVjhkhDr16vL8syAzDYgI=
        -----END PRIVATE KEY-----
        """

    static let p384Public = """
        -----BEGIN PUBLIC KEY-----
        MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE7C3nzTK4nRJcEtOA6kcNnHcBRe2sAi6N
        DIqjWyU1wVJj3e/InaXVbZiYAMAAZD+xEOP/CcA1MtsR74ChvwjsIcvEX21Yx2mV
        qkPJWzPbV5FIFY4ZIQ69ery/LMgMw2IC
        -----END PUBLIC KEY-----
        """

    static let p521 = """
        -----BEGIN PRIVATE KEY-----
        MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBg+CXlXGmwSV/hTbW
        p5ZDqs1KO37EFMmNzK099broCP7YRVjPV8NR7kc/D3F/O4d8f9cwR4st3RT3vzfS
        nPfOveehgYkDgYYABAELaD+3DxXGfQo8YKrZfFFOFr26CP5D95yfrywc+AZ6lL7+
        jkQD/ALZvUY8jGNGgFYQdrWVZT7xi6WU+38vTexAeAE8UpEmMmuT7t9jRFNVtGDx
        C3Ogb+OVrxerEH4TQRlI/uY3oBBJ7MBx4sGTAlcYIPJMULOO5O6XHWR/YyEUJkg7
        Eg==
        -----END PRIVATE KEY-----
        """

    static let p521Public = """
        -----BEGIN PUBLIC KEY-----
        MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBC2g/tw8Vxn0KPGCq2XxRTha9ugj+
        Q/ecn68sHPgGepS+/o5EA/wC2b1GPIxjRoBWEHa1lWU+8YullPt/L03sQHgBPFKR
        JjJrk+7fY0RTVbRg8QtzoG/jla8XqxB+E0EZSP7mN6AQSezAceLBkwJXGCDyTFCz
        juTulx1kf2MhFCZIOxI=
        -----END PUBLIC KEY-----
        """

    /// In the form of SEC 1.
    static let p256Old = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIIDuAJSpMfz5LgaXyXeSU3ZLBs4Gyrlq0n2nA4OJwA/OoAoGCCqGSM49
        AwEHoUQDQgAEVzKvWvZtH6DkmLfzVhquUjCDn21GoVus1yf0pxxITsboealASZ1p
        d8erFNxfOScRMS5+LQb8YNdfckQWBeflnQ==
        -----END EC PRIVATE KEY-----
        """

    static let p256Certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBDjCBtaADAgECAgEHMAoGCCqGSM49BAMCMBExDzANBgNVBAMMBnRva2VuczAe
        Fw0yMDAxMDEwMDAwMDBaFw0yMTAxMDEwMDAwMDBaMBExDzANBgNVBAMMBnRva2Vu
        czBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFcyr1r2bR+g5Ji381YarlIwg59t
        RqFbrNcn9KccSE7G6HmpQEmdaXfHqxTcXzknETEufi0G/GDXX3JEFgXn5Z0wCgYI
        KoZIzj0EAwIDSAAwRQIhAKcwVzfM5t4aGe30ZNrjPmMvzTSBULvfov1xrpRp319+
        AiABPJ/DO1AE3xp729WJzgtvHlXFFhdb2uXIFaci+dLg/g==
        -----END CERTIFICATE-----
        """

    /// RFC 8037's example.
    static let ed25519 = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
        -----END PRIVATE KEY-----
        """

    static let ed25519Public = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
        -----END PUBLIC KEY-----
        """

    /// RFC 7515, A.3.
    static let rfc7515ES256 = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7
        6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
        -----END PUBLIC KEY-----
        """

    static let secret = Array("a secret of a few words\n".utf8)

    /// User `al`, auth revision 7, until the year 2100; by method.
    static let tokens = [
        "RS256": """
        eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.sVrQMcy-7AuWARwZK1z5iKW8Py7U61u9gFQdE8Zn8ODoMEq1zzOuVaqYOshOgSHGPLLRlrvtigrj3tgo-XAQfT3r\
        N2AwaZAP-VaF7xEnaTAELVJuQKDKNZ7bDvGNY4dMxm-fCXvR40xS9S0CbqGDAzN1_TgvO7RBaWsZYwzp0drivdTJC3s89ZXfTkup\
        C1_9AZCqpSJGupPTpcaEHoiFtN_5fsfKSliwRMnrrHWQmPNVQP4RA9iVQ1MKSPccmDEFctN3ZnLBZi8kSUx23v5pSDt8d_J8NezY\
        UpTYHLtDIbnzenhZsu1Ro0BaMO42UDiJVW01XDGCYdULx3utXyfiig
        """,
        "RS384": """
        eyJhbGciOiAiUlMzODQiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.2a7KcMyNz2of_bBe3gqLM6Ss7HgyFVaK2V4DcD33xiH5XiSBnLi3azeG5s7zhkcAu7zGofeUJu51L8yGLZ7a9tX7\
        -VwbieLfX8gb9nXaUoHQU0dZHyhxKkYizuyyhD5yIfwMFN1MyK3gvq7X9RN-SKZYhamJGE9u2vY2bVx1-3QnRbxjSuI8TfqazJCm\
        naiBI2zIEsHQwcFwCY7aKvp6Z5DqgkW_rN_6vbtuSRAL0kxTFFR3yTNML9-zqgpLBISzooh7-ses7cePj8_W1NqE8JbF6JUxcTsF\
        DbtgJ-dj0SsNF1UK7j1FXDBfaJbdpEOmBr6tx72xE5KwTs90ugHztw
        """,
        "RS512": """
        eyJhbGciOiAiUlM1MTIiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.HpyunZrjHouMd7fLTbKd4sh0EEPrhgPtcbCYYjEk74Yc5qAu3t0ExrDbnEiJSMeGeNlqSxACb82K5nw9nUMVZ_Hf\
        flMnOoBphV250plqc4gv0WACUNpj1jjLAy4QKZaPK5QvNR4qLDPxuyYza9P7VcritwLomPBN4GOHCCkDVkQWTVLNKgvJ2rOjxagk\
        Yra2eg-loGlyX3mlVU9H2MUXq3hLaAJc5kycf1W2J8ohaP-Sv_SHNndCJQpBe8OpeB0lKn4xub0fMlVi6ViBtg1omItdD6mc9xSf\
        i_i0pj0JQ43vHZEpoQkeSCg-ZVwcGTcD1_NyuKUIC_TnVBjEdKn14g
        """,
        "PS256": """
        eyJhbGciOiAiUFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.OEuqaoqE0ZzZ8MvRBzsQSPbk2LTsj4KlFIpjU0HVDyNxY4PCfoH42cyRf_rJ8us9M7bn7jmDckk3RM5Yv-3a5kzz\
        pb2awwKVlEn5dbqKMOPp0KYLX1wfTIcf0QevHqtAzP9N00f5CSX3-yBYllU7E2jfoe-ekcVV_qGWFiQ1xgof2SPJM7dyLeIKs0wW\
        8378EI9sUtyonQSXJi6WuwwTTm4U0HywdeCowvtLQvg-wpUID4laq6prP2tkSK-XkFG1gNEEHgL689Fr1K_tfB3jtX0zikFNmTug\
        qsIGHl5ltB9eY0rxyenlCFwGBzj0IB8x6rUbnTQ1SQs8wsR5FKkxJg
        """,
        "PS384": """
        eyJhbGciOiAiUFMzODQiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.g0NzCzPqPDXUwR3NWlJDm8_mJ44wP4CR-RCRIt8dVfjFmaYX_hR4luAKbRjOMP_Jq-YDWwsHSiucV_uXBWTw7VH4\
        B3ZQfY0egnqLFhEgpK2aNo8Ebp2-7C9qHjv-0UYa5CXNfHWW-YODIWFc_M2svOFrC80PZp8Kh82AytlRcWz1NALO9aPDgR735qjv\
        VFZ5N1ThwFd0FxCAwhIIp_s6c5T2buFoxT_Zzw31ODoSK1sj2_djKAKO-c8P9TF9-1iYY3BEMB4WxgzMvOTCf3ybiQYrW8ZcEpuU\
        VljFZbHzX6uX6M_I-lhdXrD8CksvJ_WARNsNxln2dDjVBf57BA5qgg
        """,
        "PS512": """
        eyJhbGciOiAiUFM1MTIiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.G7_SPkch1DEDRE5vmYPt7dfqr_N0EoIPWIUcsJT_BSAnkV8HmjC3MnT3zxoywWcurY2I67fOi9DV9AgYXQlOHmaV\
        M5A3HOoD4sVUIy3qe6OBBy-10L2NxxWJaTnShXcfKQOdIn_ESnWGQZ7VmlgmI6kt2KUV6_cq1HDFLikxS3mVzKNeQ9tOWHg4ZwB3\
        N86YOl8lLfebF6bb3JFY4kztEUfHtK1RbZST8hy8SCQiJ_4H4PObSRdQUmlIZ3atP3tq9gUVsH0U-HFlExJNXsYU_oTatbqkOqGd\
        0ceeCB_ARzkk_8PuDungq_BCM7zs0KfL2bmWF05lORZRjMPMlYcbUA
        """,
        "ES256": """
        eyJhbGciOiAiRVMyNTYiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.i4EfSgmd2_D5SijM53mAbPlYXjXpjRy5OT-P7N3MnGc70Gzmkv16Zswl0rvR1JoKOzy_KOWmYWmJ_PDuu7oglg
        """,
        "ES384": """
        eyJhbGciOiAiRVMzODQiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.LFW42LXWrp8Y3wpNitbHx4A2fEC1m6OkoIJSLD0xW97yHLYrF1hg6APhuY9Iokntd4UwL9BT_i5NMsoxYASx1dCC\
        jCxjhV_nSdwrul8WToH9xzvagunQ_zbovrBFKDEY
        """,
        "ES512": """
        eyJhbGciOiAiRVM1MTIiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.AFD9tH-TVDEMN5wOqRnbaJ7AeE37Xch70KtF_pZM2FolvnlW7I-K3kjUv98DeBAiMIkmYpP7pKkgQC48rlkVfQVK\
        AAPdsXfLLnSMRpBtenV6p4iL6SCv0D7dgVOf9QrnGbO1pHpW9DvVRHdrXhGooGDbFUOL9_8ROFcHog0oTtc_FjyN
        """,
        "HS256": """
        eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.p7gA_9e6jaatX00oPV0jVEq1q_VeT2znG4vM1viSSkI
        """,
        "HS384": """
        eyJhbGciOiAiSFMzODQiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.CTno2O8tMSc6xJZ-v9H7gTUHG3YGn6XArMYEUMgoDdoymgGSWuDDLWDrDVrSgu-y
        """,
        "HS512": """
        eyJhbGciOiAiSFM1MTIiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.6_XWdjqjoEXY6R_8CHv6SkKpegkNkTIg7srYvMQSlqVxPer3T3bfnyxc1tA9k40VBDOQyvHN0efB0w5W_q8GBQ
        """,
        "EdDSA": """
        eyJhbGciOiAiRWREU0EiLCAidHlwIjogIkpXVCJ9.eyJleHAiOiA0MTAyNDQ0ODAwLCAicmV2aXNpb24iOiA3LCAidXNlcm5hbWU\
        iOiAiYWwifQ.JYbnaCigtKVfk_YJasRsrjFXA73rlf0byQrhyRTXKSaZFcPbMmT5fi5hCi_dW948_tJC7BY-UbA_Wp2KcLN_DA
        """,
    ]
}
